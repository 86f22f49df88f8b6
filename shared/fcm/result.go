package fcm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"

	"carillon.example/shared/push"
)

// nextStep is what the sender does after an answer that is not final.
type nextStep int

const (
	final        nextStep = iota
	backOff               // try this item again later, the others go on
	limitTarget           // this target gets no more for a while: try this item again later
	limitProject          // the project's quota: as limitTarget, and it may be used up for all
	limitUnnamed          // a quota that is not named: of its target, unless most answers are so
	askAgain              // what answered is not FCM: try once more, then it is final
	reauthorize           // refresh the credentials once and try again
	elsewhere             // it was not processed: send it over another connection
)

// A ruleResult is what a rule says about an answer.
type ruleResult struct {
	outcome AnswerClass
	next    nextStep
	code    string
}

// A rule judges the answers that it applies to.
type rule struct {
	name string
	when func(*fcmFault) bool
	then ruleResult
}

// rules is the table of results over everything FCM, or what stands before it,
// may answer instead of 200. The first rule that applies judges. Sources are
// Google's reference of FCM's error codes and captured answers; neither the
// order of details nor their presence is a contract, so rules look for what is
// said, not where.
//
// The last group is the token rule: UNREGISTERED is the token's fault;
// INVALID_ARGUMENT is if a field violation names the token, is the payload's if
// one names anything else, and is doubtful if none does. No rule outside that
// group has the outcomes Invalid or Doubtful.
var rules = []rule{
	{"credentials of Apple or a web push service", thirdParty, ruleResult{ThirdParty, final, "THIRD_PARTY_AUTH_ERROR"}},
	{"token of another sender", mismatch, ruleResult{Mismatch, final, "SENDER_ID_MISMATCH"}},
	{"quota of the project", all(quota, projectQuota), ruleResult{Waiting, limitProject, ""}},
	{"quota of a target", all(quota, targetQuota), ruleResult{Waiting, limitTarget, "QUOTA_EXCEEDED"}},
	{"quota that is not named", all(quota, says("QUOTA_EXCEEDED")), ruleResult{Waiting, limitUnnamed, "QUOTA_EXCEEDED"}},
	{"quota without an FcmError", quota, ruleResult{Waiting, limitProject, ""}},
	{"outage", outage, ruleResult{Waiting, backOff, ""}},
	{"our credentials", credentials, ruleResult{Misconfigured, reauthorize, ""}},
	{"no answer of FCM", notFromFCM, ruleResult{Misconfigured, askAgain, ""}},
	{"forbidden for another reason", func(f *fcmFault) bool { return f.http == 403 }, ruleResult{Refused, final, ""}},
	{"token gone", says(push.CodeUnregistered), ruleResult{Invalid, final, push.CodeUnregistered}},
	{"payload at fault", all(says(push.CodeInvalidArgument), faultOfPayload), ruleResult{Refused, final, push.CodeInvalidArgument}},
	{"token malformed", all(says(push.CodeInvalidArgument), namesToken), ruleResult{Invalid, final, push.CodeInvalidArgument}},
	{"argument not named", says(push.CodeInvalidArgument), ruleResult{Doubtful, final, push.CodeInvalidArgument}},
	{"anything else", func(*fcmFault) bool { return true }, ruleResult{Refused, final, ""}},
}

// judge applies the table to an answer other than 2xx.
func judge(f *fcmFault) ruleResult {
	for _, r := range rules {
		if r.when(f) {
			v := r.then
			if v.code == "" {
				v.code = f.code()
			}
			return v
		}
	}
	panic("fcm: the last rule applies to everything")
}

// judge says what a result means, and what is to be done when it is not final.
func (r *result) judge(now time.Time) (a Answer, then nextStep, retry time.Duration) {
	switch {
	case r.code == 0 && r.unread:
		return Answer{Text: r.err.Error()}, elsewhere, 0
	case r.code == 0:
		return Answer{Text: r.err.Error(), Sent: true}, backOff, 0
	case r.code >= 200 && r.code < 300:
		if a = r.accepted(); a.Class == Misconfigured {
			return a, askAgain, 0
		}
		return a, final, 0
	case r.err != nil:
		return Answer{Text: r.err.Error(), HTTP: r.code, Sent: true}, backOff, 0
	}

	f := parseFault(r.code, r.body)
	v := judge(f)
	a = Answer{Class: v.outcome, Code: v.code, Status: f.status, Text: f.description(r.body), HTTP: r.code, Sent: outage(f)}
	return a, v.next, retryAfter(r.retryAfter, r.body, now)
}

// accepted is the answer of a message that FCM accepted. An answer that broke off is
// accepted, too. But a body that is not JSON did not come from FCM: to treat it as
// success would report messages that were never sent.
func (r *result) accepted() Answer {
	id, ok := messageName(r.body)
	if !ok && r.err == nil {
		return Answer{Class: Misconfigured, HTTP: r.code,
			Text: fmt.Sprintf("the answer does not come from FCM: HTTP %d: %s", r.code, excerpt(r.body))}
	}
	return Answer{Class: Accepted, HTTP: r.code, Name: id}
}

// timedOut reports whether there was no answer in time.
func (r *result) timedOut() bool { return errors.Is(r.err, context.DeadlineExceeded) }

// refusedStream reports whether only this request was refused and the connection is
// good.
func (r *result) refusedStream() bool {
	_, ok := errors.AsType[http2.StreamError](r.err)
	return ok
}

// code returns the errorCode, else the status.
func (f *fcmFault) code() string {
	if len(f.codes) > 0 {
		return f.codes[0]
	}
	return f.status
}

func says(code string) func(*fcmFault) bool { return func(f *fcmFault) bool { return f.says(code) } }

func (f *fcmFault) says(code string) bool {
	return f.status == code || slices.Contains(f.codes, code)
}

func all(conditions ...func(*fcmFault) bool) func(*fcmFault) bool {
	return func(f *fcmFault) bool {
		return !slices.ContainsFunc(conditions, func(c func(*fcmFault) bool) bool { return !c(f) })
	}
}

func thirdParty(f *fcmFault) bool {
	return f.says("THIRD_PARTY_AUTH_ERROR") || f.http == 401 && strings.Contains(f.message, "Web Push Service")
}

func mismatch(f *fcmFault) bool {
	return f.says("SENDER_ID_MISMATCH") || f.http == 403 && f.message == "SenderId mismatch"
}

func quota(f *fcmFault) bool { return f.http == 429 || f.status == "RESOURCE_EXHAUSTED" }

// projectQuota reports whether an ErrorInfo says that a rate limit of the API was
// exceeded, or the text names the metric of the quota, or the project.
func projectQuota(f *fcmFault) bool {
	return slices.Contains(f.reasons, "RATE_LIMIT_EXCEEDED") || strings.Contains(f.message+f.failures, "quota metric") ||
		strings.Contains(f.failures, "project:")
}

// targetQuota reports whether there is a QuotaFailure beside FCM's own QUOTA_EXCEEDED
// ("sending limit exceeded for the message target"), or one that names a target. It
// must not slow the others down.
func targetQuota(f *fcmFault) bool {
	return f.failures != "" && (f.says("QUOTA_EXCEEDED") || ofTarget.MatchString(f.failures))
}

var ofTarget = regexp.MustCompile(`(?i)device|token|target|topic`)

func outage(f *fcmFault) bool { return f.http >= 500 || f.http == 408 }

// credentials reports whether our credentials were refused: 401 or 403 that is not
// about the message. A 403 with another FcmError is about the message, whatever its
// code is.
func credentials(f *fcmFault) bool {
	return f.http == 401 || f.http == 403 && len(f.codes) == 0
}

// notFromFCM reports whether the answer does not come from FCM. FCM answers in JSON,
// except that the server before it may refuse a request that it cannot read.
func notFromFCM(f *fcmFault) bool { return f.http < 400 || !f.json && f.http != 400 }

func isToken(field string) bool { return field == "message.token" || field == "message.fid" }

func namesToken(f *fcmFault) bool { return len(f.fields) > 0 }

// faultOfPayload reports whether the payload is at fault: a violation names a field
// other than the token or, without violations, FCM uses a text that is known to be
// about the rest of a message. General texts say nothing: a proof decides.
func faultOfPayload(f *fcmFault) bool {
	if len(f.fields) > 0 {
		return slices.ContainsFunc(f.fields, func(at string) bool { return !isToken(at) })
	}
	if strings.Contains(f.message, "registration token") {
		return false
	}
	return saysTooLarge(f.message) || ofPayload.MatchString(f.message)
}

var ofPayload = regexp.MustCompile(`at 'message|^Recipient of the message|^Topic name|^TTL must|^Invalid JSON payload`)

func saysTooLarge(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "too large") || strings.Contains(m, "too big")
}

// tryAgain finds how long an answer in HTML asks to wait.
var tryAgain = regexp.MustCompile(`try again in (\d{1,4}) seconds`)

// retryAfter returns how long an answer asks to wait, 0 if it does not.
func retryAfter(header string, body []byte, now time.Time) time.Duration {
	if s, err := strconv.Atoi(header); err == nil && s >= 0 {
		return capped(time.Duration(min(s, int(maxRetryAfter/time.Second))) * time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return capped(at.Sub(now))
	}
	if m := tryAgain.FindSubmatch(body); m != nil {
		s, _ := strconv.Atoi(string(m[1])) // digits
		return capped(time.Duration(s) * time.Second)
	}
	return 0
}

// maxRetryAfter is the longest wait that is believed. After it the server is asked
// again.
const maxRetryAfter = time.Hour

func capped(d time.Duration) time.Duration { return min(max(d, 0), maxRetryAfter) }
