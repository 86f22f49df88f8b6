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

// nextStep is what the sender does after an answer: with stepFinal the caller gets the answer,
// with the others the sender tries again.
type nextStep int

const (
	stepFinal        nextStep = iota
	stepBackOff               // try this item again later, the others go on
	stepLimitTarget           // this target gets no more for a while: try this item again later
	stepLimitProject          // the quota of the project: as stepLimitTarget, and it may be used up for all
	stepLimitUnnamed          // a quota that is not named: of its target, unless most answers are so
	stepNotFromFCM            // it does not come from FCM: try once more, then it is final
	stepReauthorize           // refresh the credentials once and try again
	stepReroute               // it was not processed: send it over another connection
)

// A ruling is what a rule decides about an answer. An empty code stands for the errorCode or
// the status of the answer.
type ruling struct {
	class AnswerClass
	step  nextStep
	code  string
}

// A rule classifies the answers for which when returns true.
type rule struct {
	name   string
	when   func(*fcmFault) bool
	ruling ruling
}

// rules classifies everything that FCM, or a server before it, may answer instead of 200.
// The first rule that applies decides. Its sources are Google's reference of FCM's error
// codes, and captured answers. Google guarantees neither the order nor the presence of
// details, so a rule looks for a word in all details.
//
// The last five rules tell a fault of the token from one of the payload. UNREGISTERED: the token is invalid.
// INVALID_ARGUMENT: the token is invalid if a field violation names it, the payload is at
// fault if a violation names another field, and it is doubtful if there is no violation. No
// other rule has the classes Invalid or Doubtful.
var rules = []rule{
	{"credentials of Apple or a web push service", isThirdParty, ruling{ThirdParty, stepFinal, "THIRD_PARTY_AUTH_ERROR"}},
	{"token of another sender", isMismatch, ruling{Mismatch, stepFinal, "SENDER_ID_MISMATCH"}},
	{"quota of the project", allOf(isQuota, isProjectQuota), ruling{Waiting, stepLimitProject, ""}},
	{"quota of a target", allOf(isQuota, isTargetQuota), ruling{Waiting, stepLimitTarget, "QUOTA_EXCEEDED"}},
	{"quota that is not named", allOf(isQuota, saysCode("QUOTA_EXCEEDED")), ruling{Waiting, stepLimitUnnamed, "QUOTA_EXCEEDED"}},
	{"quota without an FcmError", isQuota, ruling{Waiting, stepLimitProject, ""}},
	{"outage", isOutage, ruling{Waiting, stepBackOff, ""}},
	{"our credentials", refusesCredentials, ruling{Misconfigured, stepReauthorize, ""}},
	{"not from FCM", isNotFromFCM, ruling{Misconfigured, stepNotFromFCM, ""}},
	{"forbidden for another reason", func(f *fcmFault) bool { return f.http == 403 }, ruling{Refused, stepFinal, ""}},
	{"token gone", saysCode(push.CodeUnregistered), ruling{Invalid, stepFinal, push.CodeUnregistered}},
	{"payload at fault", allOf(saysCode(push.CodeInvalidArgument), faultOfPayload), ruling{Refused, stepFinal, push.CodeInvalidArgument}},
	{"token malformed", allOf(saysCode(push.CodeInvalidArgument), namesToken), ruling{Invalid, stepFinal, push.CodeInvalidArgument}},
	{"argument not named", saysCode(push.CodeInvalidArgument), ruling{Doubtful, stepFinal, push.CodeInvalidArgument}},
	{"anything else", func(*fcmFault) bool { return true }, ruling{Refused, stepFinal, ""}},
}

// classifyFault applies the table to an answer other than 2xx.
func classifyFault(f *fcmFault) ruling {
	for _, r := range rules {
		if r.when(f) {
			v := r.ruling
			if v.code == "" {
				v.code = f.firstCode()
			}
			return v
		}
	}
	panic("fcm: the last rule applies to everything")
}

// classify returns the answer that a response means, and the next step: stepFinal, or what
// has to be done before the message is sent again. With another step than stepFinal the
// answer may have no Class. retry is the wait that the response asks for, 0 without one. now
// is the time from which a date in Retry-After counts.
func (r *response) classify(now time.Time) (a Answer, step nextStep, retry time.Duration) {
	switch {
	case r.status == 0 && r.unprocessed:
		return Answer{Text: r.err.Error()}, stepReroute, 0
	case r.status == 0:
		return Answer{Text: r.err.Error(), MaybeSent: true}, stepBackOff, 0
	case r.status >= 200 && r.status < 300:
		if a = r.acceptedAnswer(); a.Class == Misconfigured {
			return a, stepNotFromFCM, 0
		}
		return a, stepFinal, 0
	case r.err != nil:
		return Answer{Text: r.err.Error(), HTTP: r.status, MaybeSent: true}, stepBackOff, 0
	}

	f := parseFault(r.status, r.body)
	v := classifyFault(f)
	a = Answer{Class: v.class, Code: v.code, Status: f.status, Text: f.describeFault(r.body), HTTP: r.status, MaybeSent: isOutage(f)}
	return a, v.step, retryAfter(r.retryAfter, r.body, now)
}

// acceptedAnswer returns the answer for a response with a status of success. If the body
// broke off, FCM has accepted the message all the same. A body that is not JSON did not come
// from FCM: to treat it as success would report messages that were never sent.
func (r *response) acceptedAnswer() Answer {
	id, ok := messageName(r.body)
	if !ok && r.err == nil {
		return Answer{Class: Misconfigured, HTTP: r.status,
			Text: fmt.Sprintf("the answer does not come from FCM: HTTP %d: %s", r.status, excerptOf(r.body))}
	}
	return Answer{Class: Accepted, HTTP: r.status, Name: id}
}

// timedOut reports whether the request was cancelled because it was overdue.
func (r *response) timedOut() bool { return errors.Is(r.err, context.DeadlineExceeded) }

// refusedStream reports whether only this request was refused and the connection is
// good.
func (r *response) refusedStream() bool {
	_, ok := errors.AsType[http2.StreamError](r.err)
	return ok
}

// firstCode returns the first errorCode, or the status if there is no errorCode.
func (f *fcmFault) firstCode() string {
	if len(f.codes) > 0 {
		return f.codes[0]
	}
	return f.status
}

// saysCode returns the condition that an answer has a code.
func saysCode(code string) func(*fcmFault) bool {
	return func(f *fcmFault) bool { return f.hasCode(code) }
}

// hasCode reports whether the code is the status or an errorCode of the answer.
func (f *fcmFault) hasCode(code string) bool {
	return f.status == code || slices.Contains(f.codes, code)
}

// allOf returns the condition that all conditions hold.
func allOf(conditions ...func(*fcmFault) bool) func(*fcmFault) bool {
	return func(f *fcmFault) bool {
		return !slices.ContainsFunc(conditions, func(c func(*fcmFault) bool) bool { return !c(f) })
	}
}

func isThirdParty(f *fcmFault) bool {
	return f.hasCode("THIRD_PARTY_AUTH_ERROR") || f.http == 401 && strings.Contains(f.message, "Web Push Service")
}

func isMismatch(f *fcmFault) bool {
	return f.hasCode("SENDER_ID_MISMATCH") || f.http == 403 && f.message == "SenderId mismatch"
}

func isQuota(f *fcmFault) bool { return f.http == 429 || f.status == "RESOURCE_EXHAUSTED" }

// isProjectQuota reports whether an ErrorInfo says that a rate limit of the API was
// exceeded, or the text names the metric of the quota, or the project.
func isProjectQuota(f *fcmFault) bool {
	return slices.Contains(f.reasons, "RATE_LIMIT_EXCEEDED") || strings.Contains(f.message+f.failures, "quota metric") ||
		strings.Contains(f.failures, "project:")
}

// isTargetQuota reports whether there is a QuotaFailure beside FCM's own QUOTA_EXCEEDED
// ("sending limit exceeded for the message target"), or one that names a target. It
// must not slow the others down.
func isTargetQuota(f *fcmFault) bool {
	return f.failures != "" && (f.hasCode("QUOTA_EXCEEDED") || targetPattern.MatchString(f.failures))
}

var targetPattern = regexp.MustCompile(`(?i)device|token|target|topic`)

func isOutage(f *fcmFault) bool { return f.http >= 500 || f.http == 408 }

// refusesCredentials reports whether our credentials were refused: 401 or 403 that is not
// about the message. A 403 with another FcmError is about the message, whatever its
// code is.
func refusesCredentials(f *fcmFault) bool {
	return f.http == 401 || f.http == 403 && len(f.codes) == 0
}

// isNotFromFCM reports whether the answer does not come from FCM. FCM answers in JSON,
// except that the server before it may refuse a request that it cannot read.
func isNotFromFCM(f *fcmFault) bool { return f.http < 400 || !f.json && f.http != 400 }

func isToken(field string) bool { return field == "message.token" || field == "message.fid" }

// namesToken reports whether a violation names the token. The rule before it has taken all
// answers that name another field.
func namesToken(f *fcmFault) bool { return len(f.fields) > 0 }

// faultOfPayload reports whether the payload is at fault: a violation names a field
// other than the token or, without violations, FCM uses a text that is known to be
// about the rest of a message. Any other text does not decide: a proof has to.
func faultOfPayload(f *fcmFault) bool {
	if len(f.fields) > 0 {
		return slices.ContainsFunc(f.fields, func(at string) bool { return !isToken(at) })
	}
	if strings.Contains(f.message, "registration token") {
		return false
	}
	return saysTooLarge(f.message) || payloadPattern.MatchString(f.message)
}

var payloadPattern = regexp.MustCompile(`at 'message|^Recipient of the message|^Topic name|^TTL must|^Invalid JSON payload`)

func saysTooLarge(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "too large") || strings.Contains(m, "too big")
}

// htmlWaitPattern finds how long an answer in HTML asks to wait.
var htmlWaitPattern = regexp.MustCompile(`try again in (\d{1,4}) seconds`)

// retryAfter returns how long an answer asks to wait, 0 if it does not.
func retryAfter(header string, body []byte, now time.Time) time.Duration {
	if s, err := strconv.Atoi(header); err == nil && s >= 0 {
		return capWait(time.Duration(min(s, int(maxRetryAfter/time.Second))) * time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return capWait(at.Sub(now))
	}
	if m := htmlWaitPattern.FindSubmatch(body); m != nil {
		s, _ := strconv.Atoi(string(m[1])) // digits
		return capWait(time.Duration(s) * time.Second)
	}
	return 0
}

// maxRetryAfter is the longest wait after an answer. A longer Retry-After is cut to it.
const maxRetryAfter = time.Hour

func capWait(d time.Duration) time.Duration { return min(max(d, 0), maxRetryAfter) }
