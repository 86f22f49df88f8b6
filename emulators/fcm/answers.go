package fcm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An answer is an error answer: a row of the table of outcomes, or an answer that is
// made for a fault of the request.
type answer struct {
	outcome string // its name, for rules and counts
	code    int
	body    []byte
	html    bool
	hint    string // a help for developers, in the header X-Emulator-Reason, which FCM does not send
}

// These types are parts of error details. Their names are those of google.rpc and FCM.
type (
	badRequest struct{ Violations []violation }
	fcmError   string
	errorInfo  struct {
		Reason   string
		Metadata map[string]string
	}
	quotaFailure []violation
)

// marshalDetail encodes an error detail with the name of its protobuf type. It adds a
// key to rest.
func marshalDetail(name string, rest map[string]any) ([]byte, error) {
	rest["@type"] = "type.googleapis.com/" + name
	return json.Marshal(rest)
}

// MarshalJSON writes google.rpc.BadRequest. Without violations it leaves the field out,
// as in captured answers of FCM.
func (b badRequest) MarshalJSON() ([]byte, error) {
	m := map[string]any{}
	if len(b.Violations) > 0 {
		m["fieldViolations"] = b.Violations
	}
	return marshalDetail("google.rpc.BadRequest", m)
}

// MarshalJSON writes google.firebase.fcm.v1.FcmError.
func (e fcmError) MarshalJSON() ([]byte, error) {
	return marshalDetail("google.firebase.fcm.v1.FcmError", map[string]any{"errorCode": string(e)})
}

// MarshalJSON writes google.rpc.ErrorInfo.
func (e errorInfo) MarshalJSON() ([]byte, error) {
	return marshalDetail("google.rpc.ErrorInfo", map[string]any{
		"reason": e.Reason, "domain": "googleapis.com", "metadata": e.Metadata})
}

// MarshalJSON writes google.rpc.QuotaFailure.
func (q quotaFailure) MarshalJSON() ([]byte, error) {
	var all []map[string]string
	for _, v := range q {
		all = append(all, map[string]string{"subject": v.Field, "description": v.Description})
	}
	return marshalDetail("google.rpc.QuotaFailure", map[string]any{"violations": all})
}

// quotaHelp is the google.rpc.Help of the project quota's answer.
type quotaHelp struct{}

// MarshalJSON writes google.rpc.Help.
func (quotaHelp) MarshalJSON() ([]byte, error) {
	return marshalDetail("google.rpc.Help", map[string]any{"links": []map[string]string{{
		"description": "Request a higher quota limit.",
		"url":         "https://cloud.google.com/docs/quotas/help/request_increase"}}})
}

// faultBody returns the JSON of an error. Without details it leaves the field out.
func faultBody(code int, status, message string, details ...any) []byte {
	type fault struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Status  string `json:"status"`
		Details []any  `json:"details,omitempty"`
	}
	b, err := json.MarshalIndent(map[string]any{"error": fault{code, message, status, details}}, "", "  ")
	if err != nil {
		panic("fcm: " + err.Error()) // cannot happen: every detail above marshals
	}
	return append(b, '\n')
}

// answers has the error answers by the name of their outcome. The texts are those of
// answers that were captured in 2026, and of Google's documentation.
var answers = answersByName()

// newAnswer returns an answer with a JSON body.
func newAnswer(name string, code int, status, message string, details ...any) *answer {
	return &answer{outcome: name, code: code, body: faultBody(code, status, message, details...)}
}

// newHTMLAnswer returns an answer with an HTML body, as Google's front ends send it.
func newHTMLAnswer(name string, code int, message string) *answer {
	return &answer{outcome: name, code: code, html: true, body: htmlPage(code, message)}
}

// newRefusal returns an answer in the form that most refusals of a payload have.
func newRefusal(name, field, message string) *answer {
	return newAnswer(name, 400, badArgument, message, fieldViolation(field, message), fcmError(badArgument))
}

func htmlPage(code int, message string) []byte {
	return fmt.Appendf(nil, "<!DOCTYPE html>\n<html lang=en>\n<title>Error %d (%s)!!1</title>\n<p><b>%d.</b> "+
		"<ins>That’s an error.</ins>\n<p>%s  <ins>That’s all we know.</ins>\n", code, http.StatusText(code), code, message)
}

func fieldViolation(field, message string) badRequest {
	return badRequest{Violations: []violation{{Field: field, Description: message}}}
}

// defaultQuota is FCM's quota of a project, in messages per minute.
const defaultQuota = 600_000

const (
	badArgument = "INVALID_ARGUMENT"
	noEntity    = "Requested entity was not found."
	badToken    = "The registration token is not a valid FCM registration token"
	badRequestM = "Request contains an invalid argument."
	noLogin     = "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie " +
		"or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)

func tooLarge(limit int) []byte {
	return faultBody(400, badArgument, fmt.Sprintf("Message is too large. The maximum is %dK (%d bytes).", limit/1024, limit),
		badRequest{}, fcmError(badArgument))
}

// quotaBody returns the body for a send beyond a quota of limit messages per minute.
func quotaBody(project string, limit int) []byte {
	number := "project_number:" + projectNumber(project)
	return faultBody(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Send requests' and limit "+
		"'Send requests per minute' of service 'fcm.googleapis.com' for consumer '"+number+"'.",
		errorInfo{Reason: "RATE_LIMIT_EXCEEDED", Metadata: map[string]string{
			"service": "fcm.googleapis.com", "quota_metric": "fcm.googleapis.com/send_requests",
			"quota_limit": "SendsPerMinutePerProject", "quota_limit_value": strconv.Itoa(limit), "quota_unit": "1/min/{project}",
			"quota_location": "global", "consumer": "projects/" + projectNumber(project)}},
		quotaHelp{})
}

// projectNumber returns an invented number for a project. It is always the same for one
// name.
func projectNumber(project string) string {
	return strconv.FormatUint(100_000_000_000+mixBits(hashString(0, project))%900_000_000_000, 10)
}

// answersByName builds the table. The details are in the order of the captured answers,
// which FCM does not guarantee.
func answersByName() map[string]*answer {
	const wrong = "Invalid value at 'message.data[0].value' (TYPE_STRING), 12"
	const unknown = `Invalid JSON payload received. Unknown name "key" at 'message': Cannot find field.`
	const unavailable = "The service is currently unavailable."
	rows := []*answer{
		newAnswer("UNREGISTERED", 404, "NOT_FOUND", noEntity, fcmError("UNREGISTERED")),
		newAnswer("UNREGISTERED_SEED", 404, "UNREGISTERED", noEntity, fcmError("UNREGISTERED")),
		newAnswer("INVALID_TOKEN", 400, badArgument, badToken, fcmError(badArgument), fieldViolation("message.token", badToken)),
		newAnswer("INVALID_TOKEN_BARE", 400, badArgument, badToken, fcmError(badArgument)),
		newAnswer("INVALID_TOKEN_OLD", 400, badArgument, badRequestM, fcmError(badArgument), fieldViolation("message.token", "Invalid registration token")),
		{outcome: "PAYLOAD_TOO_LARGE", code: 400, body: tooLarge(PayloadLimit)},
		newAnswer("PAYLOAD_TOO_LARGE_OLD", 400, badArgument, "Android message is too big", fcmError(badArgument)),
		newAnswer("PAYLOAD_TOO_LARGE_BARE", 400, badArgument, "Android message is too big"),
		newAnswer("PAYLOAD_FIELD", 400, badArgument, wrong, fieldViolation("message.data[0].value", wrong)),
		newAnswer("UNKNOWN_FIELD", 400, badArgument, unknown, fieldViolation("message", unknown)),
		newRefusal("NO_TARGET", "message", "Recipient of the message is not set."),
		newRefusal("BAD_TOPIC", "message", "Topic name contains invalid characters."),
		newAnswer("BAD_CONDITION", 400, badArgument, badRequestM),
		newRefusal("WEBPUSH_TTL", "message.webpush.headers.TTL", "TTL must be a non-negative integer."),
		newAnswer("SENDER_ID_MISMATCH", 403, "PERMISSION_DENIED", "SenderId mismatch", fcmError("SENDER_ID_MISMATCH")),
		newAnswer("PERMISSION_DENIED", 403, "PERMISSION_DENIED", "The caller does not have permission"),
		{outcome: "QUOTA_PROJECT", code: 429, body: quotaBody("", defaultQuota)},
		newAnswer("QUOTA_DEVICE_BARE", 429, "RESOURCE_EXHAUSTED", "Sending limit exceeded for the message target.", fcmError("QUOTA_EXCEEDED")),
		newAnswer("QUOTA_DEVICE", 429, "RESOURCE_EXHAUSTED", "Quota exceeded for messages to this device.", fcmError("QUOTA_EXCEEDED"),
			quotaFailure{{Field: "device", Description: "Message rate exceeded."}}),
		newAnswer("UNAVAILABLE", 503, "UNAVAILABLE", unavailable, fcmError("UNAVAILABLE")),
		newAnswer("UNAVAILABLE_BARE", 503, "UNAVAILABLE", unavailable),
		newAnswer("INTERNAL", 500, "INTERNAL", "Internal error encountered.", fcmError("INTERNAL")),
		newHTMLAnswer("BAD_GATEWAY", 502, "The server encountered a temporary error and could not complete your request."+
			"<p>Please try again in 30 seconds."),
		newAnswer("THIRD_PARTY_AUTH", 401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service", fcmError("THIRD_PARTY_AUTH_ERROR")),
		newAnswer("THIRD_PARTY_AUTH_OTHER", 401, "UNAUTHENTICATED", noLogin, fcmError("THIRD_PARTY_AUTH_ERROR")),
		newAnswer("UNAUTHENTICATED", 401, "UNAUTHENTICATED", noLogin, errorInfo{Reason: "CREDENTIALS_MISSING", Metadata: map[string]string{
			"service": "fcm.googleapis.com", "method": "google.firebase.fcm.v1.FcmService.SendMessage"}}),
		newHTMLAnswer("UNAUTHENTICATED_HTML", 401, "Your client does not have permission to the requested URL."),
	}
	byName := make(map[string]*answer, len(rows))
	for _, a := range rows {
		byName[a.outcome] = a
	}

	return byName
}

// forTarget returns the answer for a kind of target. For an installation id a fault of
// message.token becomes a fault of message.fid.
func (a *answer) forTarget(target string) *answer {
	if target != "fid" || !strings.HasPrefix(a.outcome, "INVALID_TOKEN") {
		return a
	}
	b := *a
	b.body = bytes.ReplaceAll(a.body, []byte("message.token"), []byte("message.fid"))
	return &b
}

var (
	typeJSON = []string{"application/json; charset=UTF-8"}
	typeHTML = []string{"text/html; charset=UTF-8"}
)

// writeTo sends the answer. A retryAfter of 0 sends no Retry-After header.
func (a *answer) writeTo(w http.ResponseWriter, retryAfter time.Duration) {
	h := w.Header()
	h["Content-Type"] = typeJSON
	if a.html {
		h["Content-Type"] = typeHTML
	}
	if retryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int((retryAfter + time.Second - 1) / time.Second))}
	}
	if a.hint != "" {
		h["X-Emulator-Reason"] = []string{a.hint}
	}

	w.WriteHeader(a.code)
	_, _ = w.Write(a.body) // the client may have disconnected
}
