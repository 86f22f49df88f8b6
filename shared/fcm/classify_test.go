package fcm

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"carillon.example/emulators/testcloud/check"
)

const (
	fcmErr     = `{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":%q}`
	badReq     = `{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":%q,"description":"x"}]}`
	emptyBR    = `{"@type":"type.googleapis.com/google.rpc.BadRequest"}`
	quotaEI    = `{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"googleapis.com"}`
	help       = `{"@type":"type.googleapis.com/google.rpc.Help","links":[]}`
	device     = `{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"subject":"device:x","description":"Device message rate exceeded"}]}`
	project429 = `{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"subject":"project:1234","description":"Limit exceeded"}]}`
	target429  = `{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"subject":"registration token","description":"Message rate exceeded for the target."}]}`
	noToken    = "The registration token is not a valid FCM registration token"
	generic    = "Request contains an invalid argument."
	noAuth     = "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential."
	gateway    = "<!DOCTYPE html><title>Error 502 (Server Error)!!1</title><p>Please try again in 30 seconds."
)

// A resultRow is an answer of FCM, as captured or documented, and its result.
type resultRow struct {
	name    string
	http    int
	status  string // "": the body is message as it is
	message string
	details []string
	want    AnswerClass
	next    nextStep
	bare    AnswerClass // without details, if that changes the result
}

func fcmErrorDetail(code string) string   { return fmt.Sprintf(fcmErr, code) }
func violationDetail(field string) string { return fmt.Sprintf(badReq, field) }

const bad = "INVALID_ARGUMENT"

var rows = []resultRow{
	{"UNREGISTERED", 404, "NOT_FOUND", "Requested entity was not found.", []string{fcmErrorDetail("UNREGISTERED")}, Invalid, stepFinal, Refused},
	{"UNREGISTERED_SEED", 404, "UNREGISTERED", "Requested entity was not found.", []string{fcmErrorDetail("UNREGISTERED")}, Invalid, stepFinal, 0},
	{"INVALID_TOKEN", 400, bad, noToken, []string{fcmErrorDetail(bad), violationDetail("message.token")}, Invalid, stepFinal, Doubtful},
	{"INVALID_FID", 400, bad, noToken, []string{fcmErrorDetail(bad), violationDetail("message.fid")}, Invalid, stepFinal, Doubtful},
	{"INVALID_TOKEN_BARE", 400, bad, noToken, []string{fcmErrorDetail(bad)}, Doubtful, stepFinal, 0},
	{"INVALID_TOKEN_OLD", 400, bad, generic, []string{fcmErrorDetail(bad), violationDetail("message.token")}, Invalid, stepFinal, Doubtful},
	{"INVALID_TOKEN_OLD, FcmError only", 400, bad, generic, []string{fcmErrorDetail(bad)}, Doubtful, stepFinal, 0},
	{"PAYLOAD_TOO_LARGE", 400, bad, "Message is too large. The maximum is 4K (4096 bytes).", []string{emptyBR, fcmErrorDetail(bad)}, Refused, stepFinal, 0},
	{"PAYLOAD_TOO_LARGE_OLD", 400, bad, "Android message is too big", []string{fcmErrorDetail(bad)}, Refused, stepFinal, 0},
	{"PAYLOAD_FIELD", 400, bad, "Invalid value at 'message.data[0].value' (TYPE_STRING), 12", []string{violationDetail("message.data[0].value")}, Refused, stepFinal, 0},
	{"UNKNOWN_FIELD", 400, bad, `Invalid JSON payload received. Unknown name "key" at 'message': Cannot find field.`, []string{violationDetail("message")}, Refused, stepFinal, 0},
	{"NO_TARGET", 400, bad, "Recipient of the message is not set.", []string{violationDetail("message"), fcmErrorDetail(bad)}, Refused, stepFinal, 0},
	{"BAD_TOPIC", 400, bad, "Topic name contains invalid characters.", []string{violationDetail("message"), fcmErrorDetail(bad)}, Refused, stepFinal, 0},
	{"BAD_CONDITION", 400, bad, generic, nil, Doubtful, stepFinal, 0},
	{"WEBPUSH_TTL", 400, bad, "TTL must be a non-negative integer.", []string{violationDetail("message.webpush.headers.TTL"), fcmErrorDetail(bad)}, Refused, stepFinal, 0},
	{"token and another field", 400, bad, generic, []string{violationDetail("message.token"), violationDetail("message.data"), fcmErrorDetail(bad)}, Refused, stepFinal, Doubtful},
	{"SENDER_ID_MISMATCH", 403, "PERMISSION_DENIED", "SenderId mismatch", []string{fcmErrorDetail("SENDER_ID_MISMATCH")}, Mismatch, stepFinal, 0},
	{"PERMISSION_DENIED", 403, "PERMISSION_DENIED", "The caller does not have permission", nil, Misconfigured, stepReauthorize, 0},
	{"QUOTA_PROJECT", 429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Send requests'", []string{quotaEI, help}, Waiting, stepLimitProject, 0},
	{"QUOTA_PROJECT, other words", 429, "RESOURCE_EXHAUSTED", "Too many.", []string{help, quotaEI}, Waiting, stepLimitProject, 0},
	{"QUOTA_PROJECT with an FcmError", 429, "RESOURCE_EXHAUSTED", "", []string{fcmErrorDetail("QUOTA_EXCEEDED"), quotaEI}, Waiting, stepLimitProject, 0},
	{"429 without a body", 429, "", "", nil, Waiting, stepLimitProject, 0},
	{"QUOTA_EXCEEDED", 429, "RESOURCE_EXHAUSTED", "", []string{fcmErrorDetail("QUOTA_EXCEEDED")}, Waiting, stepLimitUnnamed, 0},
	{"QUOTA_DEVICE", 429, "RESOURCE_EXHAUSTED", "", []string{fcmErrorDetail("QUOTA_EXCEEDED"), device}, Waiting, stepLimitTarget, 0},
	{"QuotaFailure of a device", 429, "RESOURCE_EXHAUSTED", "", []string{device}, Waiting, stepLimitTarget, 0},
	{"QuotaFailure of the project", 429, "RESOURCE_EXHAUSTED", "", []string{fcmErrorDetail("QUOTA_EXCEEDED"), project429}, Waiting, stepLimitProject, 0},
	{"QUOTA_EXCEEDED, other words", 429, "RESOURCE_EXHAUSTED", "Message rate exceeded.", []string{fcmErrorDetail("QUOTA_EXCEEDED"), target429}, Waiting, stepLimitTarget, 0},
	{"UNAVAILABLE", 503, "UNAVAILABLE", "The service is currently unavailable.", []string{fcmErrorDetail("UNAVAILABLE")}, Waiting, stepBackOff, 0},
	{"INTERNAL", 500, "INTERNAL", "Internal error encountered.", []string{fcmErrorDetail("INTERNAL")}, Waiting, stepBackOff, 0},
	{"BAD_GATEWAY", 502, "", gateway, nil, Waiting, stepBackOff, 0},
	{"GATEWAY_TIMEOUT", 504, "", "", nil, Waiting, stepBackOff, 0},
	{"THIRD_PARTY_AUTH", 401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service", []string{fcmErrorDetail("THIRD_PARTY_AUTH_ERROR")}, ThirdParty, stepFinal, 0},
	{"THIRD_PARTY_AUTH, other words", 401, "UNAUTHENTICATED", noAuth, []string{fcmErrorDetail("THIRD_PARTY_AUTH_ERROR")}, ThirdParty, stepFinal, Misconfigured},
	{"UNAUTHENTICATED", 401, "UNAUTHENTICATED", noAuth, nil, Misconfigured, stepReauthorize, 0},
	{"UNAUTHENTICATED in HTML", 401, "", "<html>401", nil, Misconfigured, stepReauthorize, 0},
	{"unknown code", 400, "FAILED_PRECONDITION", "New in 2027.", []string{fcmErrorDetail("NEW_CODE")}, Refused, stepFinal, 0},
	{"403 of an unknown code", 403, "PERMISSION_DENIED", "New in 2027.", []string{fcmErrorDetail("NEW_CODE")}, Refused, stepFinal, Misconfigured},
	{"404 of something else", 404, "NOT_FOUND", "Requested entity was not found.", nil, Refused, stepFinal, 0},
	{"404 of another server", 404, "", "404 page not found", nil, Misconfigured, stepNotFromFCM, 0},
	{"redirect", 302, "", "", nil, Misconfigured, stepNotFromFCM, 0},
	{"400 without a body", 400, "", "", nil, Refused, stepFinal, 0},
}

func (r resultRow) faultBody(details []string) string {
	if r.status == "" {
		return r.message
	}
	d := ""
	if details != nil {
		d = `,"details":[` + strings.Join(details, ",") + `]`
	}
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"status":%q%s}}`, r.http, r.message, r.status, d)
}

func (r resultRow) checkClass(t *testing.T, name, body string, want AnswerClass) {
	t.Helper()
	a, step, _ := (&response{status: r.http, body: []byte(body)}).classify(time.Time{})
	if a.Class != want {
		t.Errorf("%s, %s: %s, want %s: %s", r.name, name, a.Class, want, body)
	}
	if a.Text == "" {
		t.Errorf("%s, %s: a.Text is empty", r.name, name)
	}
	check.Equal(t, a.HTTP, r.http, "%s, %s: a.HTTP", r.name, name)
	if want == r.want && step != r.next {
		t.Errorf("%s, %s: next %d, want %d", r.name, name, step, r.next)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for _, r := range rows {
		r.checkClass(t, "as it comes", r.faultBody(r.details), r.want)
		back := slices.Clone(r.details)
		slices.Reverse(back)
		r.checkClass(t, "details reversed", r.faultBody(back), r.want)
		r.checkClass(t, "more details", r.faultBody(append([]string{help, `7`, `null`, `{"@type":7}`}, r.details...)), r.want)
		bare := r.want
		if r.bare != 0 {
			bare = r.bare
		}
		if r.next != stepLimitTarget && r.next != stepLimitUnnamed { // without them it may be the project's
			r.checkClass(t, "details missing", r.faultBody(nil), bare)
		}
	}
}

// TestOtherBodies: whatever form an answer has, no row but those of the token
// rule ever blames a token.
func TestOtherBodies(t *testing.T) {
	t.Parallel()
	for _, r := range rows {
		for _, body := range []string{"", "<html><body>Error</body></html>", "null", "[]", `{"error":"x"}`, `{"error":null}`, `{`,
			`{"error":{"details":{}}}`, `{"error":{"status":7,"message":[],"details":[[]]}}`, r.faultBody(r.details)[:len(r.faultBody(r.details))/2]} {
			a, _, _ := (&response{status: r.http, body: []byte(body)}).classify(time.Time{})
			if flagsToken(a.Class) {
				t.Errorf("%s with body %q blames the token: %+v", r.name, body, a)
			}
		}
	}
}

func flagsToken(o AnswerClass) bool { return o == Invalid || o == Doubtful }

// TestOnlyTheTokenRuleBlames mixes codes, states, words and details at random:
// a token is only ever blamed by the conditions of the token rule.
func TestOnlyTheTokenRuleBlames(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	var messages, states []string
	details := []string{help, emptyBR, device, quotaEI, violationDetail("message.token"), violationDetail("message.fid"), violationDetail("message.android"), violationDetail("")}
	for _, c := range []string{bad, "UNREGISTERED", "SENDER_ID_MISMATCH", "UNAVAILABLE", "INTERNAL", "QUOTA_EXCEEDED", "THIRD_PARTY_AUTH_ERROR", "NEW"} {
		states = append(states, c)
		details = append(details, fcmErrorDetail(c))
	}
	for _, row := range rows {
		messages = append(messages, row.message)
		states = append(states, row.status)
	}

	codes := []int{302, 400, 401, 403, 404, 408, 410, 422, 429, 500, 502, 503, 504}
	for range 10_000 {
		one := resultRow{http: codes[r.IntN(len(codes))], status: pick(states), message: pick(messages)}
		for range r.IntN(4) {
			one.details = append(one.details, pick(details))
		}

		body := one.faultBody(one.details)
		a, step, _ := (&response{status: one.http, body: []byte(body)}).classify(time.Time{})
		gone := one.status == "UNREGISTERED" || slices.Contains(one.details, fcmErrorDetail("UNREGISTERED"))
		argument := one.status == bad || slices.Contains(one.details, fcmErrorDetail(bad))
		other := slices.Contains(one.details, violationDetail("message.android"))
		named := slices.Contains(one.details, violationDetail("message.token")) || slices.Contains(one.details, violationDetail("message.fid"))
		fine := one.http == 400 || one.http == 404 || one.http == 410 || one.http == 422
		switch {
		case a.Class == Invalid && fine && (gone || argument && named && !other):
		case a.Class == Doubtful && fine && argument && !named && !other && !saysTooLarge(one.message):
		case flagsToken(a.Class):
			t.Fatalf("seed %d: %d %s blames the token: %+v", seed, one.http, body, a)
		case a.Class == Waiting && step == stepFinal || a.Class < Accepted || a.Class > Waiting:
			t.Fatalf("seed %d: %d %s: %+v, next %d", seed, one.http, body, a, step)
		}
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Answer{
		`{"name":"projects/p/messages/1"}`:                  {Class: Accepted, Name: "projects/p/messages/1"},
		"{\n  \"name\": \"projects/p/messages/1\"\n}\n":     {Class: Accepted, Name: "projects/p/messages/1"},
		`{"x":{},"na\u006de":"projects/p/messages/\u0031"}`: {Class: Accepted, Name: "projects/p/messages/1"},
		`{"name":7}`:       {Class: Accepted},
		`{}`:               {Class: Accepted},
		`<html>sign in`:    {Class: Misconfigured},
		``:                 {Class: Misconfigured},
		`["name","x"]`:     {Class: Misconfigured},
		`{"name":"unended`: {Class: Misconfigured},
		`null`:             {Class: Misconfigured},
	} {
		t.Run(body, func(t *testing.T) {

			a, step, _ := (&response{status: 200, body: []byte(body)}).classify(time.Time{})
			next := stepFinal
			if want.Class == Misconfigured {
				next = stepNotFromFCM
			}

			check.Equal(t, a.Class, want.Class, "%s: a.Class", body)
			check.Equal(t, a.Name, want.Name, "%s: a.Name", body)
			check.Equal(t, step, next, "%s: the next step", body)
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header, body string
		want         time.Duration
	}{
		{"", "", 0}, {"10", "", 10 * time.Second}, {"0", "", 0}, {"-5", "", 0}, {"99999999999", "", time.Hour}, {"soon", "", 0},
		{now.Add(90 * time.Second).Format(http.TimeFormat), "", 90 * time.Second},
		{now.Add(-time.Hour).Format(http.TimeFormat), "", 0},
		{"", gateway, 30 * time.Second}, {"5", gateway, 5 * time.Second},
	} {
		if got := retryAfter(c.header, []byte(c.body), now); got != c.want {
			t.Errorf("%q, %q: %s, want %s", c.header, c.body, got, c.want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, r := range rows {
		f.Add(r.http, []byte(r.faultBody(r.details)), "10")
	}
	f.Add(200, []byte(`{"name":"x"}`), "")
	f.Fuzz(func(t *testing.T, code int, body []byte, header string) {
		a, step, retry := (&response{status: max(code, 100), body: body, retryAfter: header}).classify(time.Now())
		check.Between(t, a.Class, Accepted, Waiting, "class")
		check.Between(t, retry, 0, maxRetryAfter, "retry after")
		if step != stepFinal && a.Class != Waiting && a.Class != Misconfigured {
			t.Errorf("%s is not final", a.Class)
		}
		if flagsToken(a.Class) && !(json.Valid(body) && strings.Contains(string(body), "error")) {
			t.Errorf("%q blames a token", body)
		}
	})
}

// TestLongWordsAreCut: a batch stores them, and has no room for a page.
func TestLongWordsAreCut(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("é", 20_000)
	body := fmt.Sprintf(`{"error":{"code":404,"message":%q,"status":%q,"details":[%s]}}`, page, page, fcmErrorDetail("UNREGISTERED"))
	a, _, _ := (&response{status: 404, body: []byte(body)}).classify(time.Time{})
	check.Equal(t, a.Class, Invalid, "a.Class")
	check.Equal(t, a.Code, "UNREGISTERED", "a.Code")
	if len(a.Text) > maxText+3 {
		t.Fatalf("the text has %d bytes, want at most %d", len(a.Text), maxText+3)
	}
	if len(a.Status) > maxStatus+3 {
		t.Fatalf("the status has %d bytes, want at most %d", len(a.Status), maxStatus+3)
	}
	if !utf8.ValidString(a.Text) {
		t.Errorf("a.Text = %q, want valid UTF-8", a.Text)
	}
}
