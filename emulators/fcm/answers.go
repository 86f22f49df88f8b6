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

// answer is an error answer: a row of the table below, or a fault found.
type answer struct {
	name string // of the outcome, for rules and counts
	code int
	body []byte
	html bool
	hint string // for who uses the emulator, in the header X-Emulator-Reason; FCM has none
}

// Parts of error details, by their google.rpc and FCM types.
type (
	badRequest struct{ Violations []violation }
	fcmError   string
	errorInfo  struct {
		Reason   string
		Metadata map[string]string
	}
	quotaFailure []violation
)

func typed(name string, rest map[string]any) ([]byte, error) {
	rest["@type"] = "type.googleapis.com/" + name
	return json.Marshal(rest)
}

// MarshalJSON writes google.rpc.BadRequest; without violations the field is
// missing, as in captures.
func (b badRequest) MarshalJSON() ([]byte, error) {
	m := map[string]any{}
	if len(b.Violations) > 0 {
		m["fieldViolations"] = b.Violations
	}
	return typed("google.rpc.BadRequest", m)
}

// MarshalJSON writes google.firebase.fcm.v1.FcmError.
func (e fcmError) MarshalJSON() ([]byte, error) {
	return typed("google.firebase.fcm.v1.FcmError", map[string]any{"errorCode": string(e)})
}

// MarshalJSON writes google.rpc.ErrorInfo.
func (e errorInfo) MarshalJSON() ([]byte, error) {
	return typed("google.rpc.ErrorInfo", map[string]any{
		"reason": e.Reason, "domain": "googleapis.com", "metadata": e.Metadata})
}

// MarshalJSON writes google.rpc.QuotaFailure.
func (q quotaFailure) MarshalJSON() ([]byte, error) {
	var all []map[string]string
	for _, v := range q {
		all = append(all, map[string]string{"subject": v.Field, "description": v.Description})
	}
	return typed("google.rpc.QuotaFailure", map[string]any{"violations": all})
}

// quotaHelp is the google.rpc.Help of the project quota's answer.
type quotaHelp struct{}

// MarshalJSON writes google.rpc.Help.
func (quotaHelp) MarshalJSON() ([]byte, error) {
	return typed("google.rpc.Help", map[string]any{"links": []map[string]string{{
		"description": "Request a higher quota limit.",
		"url":         "https://cloud.google.com/docs/quotas/help/request_increase"}}})
}

// faultBody is the JSON of an error; without details the field is missing.
func faultBody(code int, status, message string, details ...any) []byte {
	type fault struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Status  string `json:"status"`
		Details []any  `json:"details,omitempty"`
	}
	b, err := json.MarshalIndent(map[string]any{"error": fault{code, message, status, details}}, "", "  ")
	if err != nil {
		panic("fcm: " + err.Error()) // the parts above cannot fail
	}
	return append(b, '\n')
}

// answers are the error bodies by outcome name, in the words of captures of
// 2026 and Google's documentation.
var answers = table()

func row(name string, code int, status, message string, details ...any) *answer {
	return &answer{name: name, code: code, body: faultBody(code, status, message, details...)}
}

func page(name string, code int, message string) *answer {
	return &answer{name: name, code: code, html: true, body: htmlPage(code, message)}
}

// refused is a row of the shape most refusals of a payload have.
func refused(name, field, message string) *answer {
	return row(name, 400, badArgument, message, at(field, message), fcmError(badArgument))
}

func htmlPage(code int, message string) []byte {
	return fmt.Appendf(nil, "<!DOCTYPE html>\n<html lang=en>\n<title>Error %d (%s)!!1</title>\n<p><b>%d.</b> "+
		"<ins>That’s an error.</ins>\n<p>%s  <ins>That’s all we know.</ins>\n", code, http.StatusText(code), code, message)
}

func at(field, message string) badRequest {
	return badRequest{Violations: []violation{{Field: field, Description: message}}}
}

// defaultQuota is FCM's quota of a project, messages a minute.
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

// quotaBody is the answer to a send beyond the quota of limit messages a minute.
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

// projectNumber makes up a stable number for a project's name.
func projectNumber(project string) string {
	return strconv.FormatUint(100_000_000_000+mix(hashString(0, project))%900_000_000_000, 10)
}

// table makes the rows: name, HTTP code, status, message, details in the order
// of the captures, which is no contract.
func table() map[string]*answer {
	const wrong = "Invalid value at 'message.data[0].value' (TYPE_STRING), 12"
	const unknown = `Invalid JSON payload received. Unknown name "key" at 'message': Cannot find field.`
	const unavailable = "The service is currently unavailable."
	rows := []*answer{
		row("UNREGISTERED", 404, "NOT_FOUND", noEntity, fcmError("UNREGISTERED")),
		row("UNREGISTERED_SEED", 404, "UNREGISTERED", noEntity, fcmError("UNREGISTERED")),
		row("INVALID_TOKEN", 400, badArgument, badToken, fcmError(badArgument), at("message.token", badToken)),
		row("INVALID_TOKEN_BARE", 400, badArgument, badToken, fcmError(badArgument)),
		row("INVALID_TOKEN_OLD", 400, badArgument, badRequestM, fcmError(badArgument), at("message.token", "Invalid registration token")),
		{name: "PAYLOAD_TOO_LARGE", code: 400, body: tooLarge(PayloadLimit)},
		row("PAYLOAD_TOO_LARGE_OLD", 400, badArgument, "Android message is too big", fcmError(badArgument)),
		row("PAYLOAD_TOO_LARGE_BARE", 400, badArgument, "Android message is too big"),
		row("PAYLOAD_FIELD", 400, badArgument, wrong, at("message.data[0].value", wrong)),
		row("UNKNOWN_FIELD", 400, badArgument, unknown, at("message", unknown)),
		refused("NO_TARGET", "message", "Recipient of the message is not set."),
		refused("BAD_TOPIC", "message", "Topic name contains invalid characters."),
		row("BAD_CONDITION", 400, badArgument, badRequestM),
		refused("WEBPUSH_TTL", "message.webpush.headers.TTL", "TTL must be a non-negative integer."),
		row("SENDER_ID_MISMATCH", 403, "PERMISSION_DENIED", "SenderId mismatch", fcmError("SENDER_ID_MISMATCH")),
		row("PERMISSION_DENIED", 403, "PERMISSION_DENIED", "The caller does not have permission"),
		{name: "QUOTA_PROJECT", code: 429, body: quotaBody("", defaultQuota)},
		row("QUOTA_DEVICE_BARE", 429, "RESOURCE_EXHAUSTED", "Sending limit exceeded for the message target.", fcmError("QUOTA_EXCEEDED")),
		row("QUOTA_DEVICE", 429, "RESOURCE_EXHAUSTED", "Quota exceeded for messages to this device.", fcmError("QUOTA_EXCEEDED"),
			quotaFailure{{Field: "device", Description: "Message rate exceeded."}}),
		row("UNAVAILABLE", 503, "UNAVAILABLE", unavailable, fcmError("UNAVAILABLE")),
		row("UNAVAILABLE_BARE", 503, "UNAVAILABLE", unavailable),
		row("INTERNAL", 500, "INTERNAL", "Internal error encountered.", fcmError("INTERNAL")),
		page("BAD_GATEWAY", 502, "The server encountered a temporary error and could not complete your request."+
			"<p>Please try again in 30 seconds."),
		row("THIRD_PARTY_AUTH", 401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service", fcmError("THIRD_PARTY_AUTH_ERROR")),
		row("THIRD_PARTY_AUTH_OTHER", 401, "UNAUTHENTICATED", noLogin, fcmError("THIRD_PARTY_AUTH_ERROR")),
		row("UNAUTHENTICATED", 401, "UNAUTHENTICATED", noLogin, errorInfo{Reason: "CREDENTIALS_MISSING", Metadata: map[string]string{
			"service": "fcm.googleapis.com", "method": "google.firebase.fcm.v1.FcmService.SendMessage"}}),
		page("UNAUTHENTICATED_HTML", 401, "Your client does not have permission to the requested URL."),
	}
	byName := make(map[string]*answer, len(rows))
	for _, a := range rows {
		byName[a.name] = a
	}

	return byName
}

// to is the answer for a target: what is said of message.token is said of
// message.fid where that was the target.
func (a *answer) to(target string) *answer {
	if target != "fid" || !strings.HasPrefix(a.name, "INVALID_TOKEN") {
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

// write sends the answer; a retryAfter of 0 sends no such header.
func (a *answer) write(w http.ResponseWriter, retryAfter time.Duration) {
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
	_, _ = w.Write(a.body) // the client may be gone
}
