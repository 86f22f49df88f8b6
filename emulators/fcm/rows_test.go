package fcm

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"firebase.google.com/go/v4/errorutils"
	"firebase.google.com/go/v4/messaging"
)

// said is the error of the Admin SDK for an answer.
type said struct {
	unregistered, invalid, quota, unavailable, internal, sender, thirdParty bool
}

func ask(err error) said {
	return said{
		unregistered: messaging.IsUnregistered(err), invalid: messaging.IsInvalidArgument(err),
		quota: messaging.IsQuotaExceeded(err), unavailable: messaging.IsUnavailable(err),
		internal: messaging.IsInternal(err), sender: messaging.IsSenderIDMismatch(err),
		thirdParty: messaging.IsThirdPartyAuthError(err),
	}
}

// rows is the table of error bodies, from captured answers and the documentation, with the
// error of the Go Admin SDK 4.21.0 for each of them.
var rows = []struct {
	name, status, message string
	code                  int
	fcmError              string   // errorCode of the FcmError, "" for none
	types                 []string // short types of the details, in order
	field                 string   // of the first violation
	sdk                   said
}{
	{name: "UNREGISTERED", code: 404, status: "NOT_FOUND", message: noEntity,
		fcmError: "UNREGISTERED", types: []string{"FcmError"}, sdk: said{unregistered: true}},
	{name: "UNREGISTERED_SEED", code: 404, status: "UNREGISTERED", message: noEntity,
		fcmError: "UNREGISTERED", types: []string{"FcmError"}, sdk: said{unregistered: true}},
	{name: "INVALID_TOKEN", code: 400, status: badArgument, message: badToken,
		fcmError: badArgument, types: []string{"FcmError", "BadRequest"}, field: "message.token", sdk: said{invalid: true}},
	{name: "INVALID_TOKEN_BARE", code: 400, status: badArgument, message: badToken,
		fcmError: badArgument, types: []string{"FcmError"}, sdk: said{invalid: true}},
	{name: "INVALID_TOKEN_OLD", code: 400, status: badArgument, message: "Request contains an invalid argument.",
		fcmError: badArgument, types: []string{"FcmError", "BadRequest"}, field: "message.token", sdk: said{invalid: true}},
	{name: "PAYLOAD_TOO_LARGE", code: 400, status: badArgument, message: "Message is too large. The maximum is 4K (4096 bytes).",
		fcmError: badArgument, types: []string{"BadRequest", "FcmError"}, sdk: said{invalid: true}},
	{name: "PAYLOAD_TOO_LARGE_OLD", code: 400, status: badArgument, message: "Android message is too big",
		fcmError: badArgument, types: []string{"FcmError"}, sdk: said{invalid: true}},
	{name: "PAYLOAD_TOO_LARGE_BARE", code: 400, status: badArgument, message: "Android message is too big"},
	{name: "PAYLOAD_FIELD", code: 400, status: badArgument, message: "Invalid value at 'message.data[0].value' (TYPE_STRING), 12",
		types: []string{"BadRequest"}, field: "message.data[0].value"},
	{name: "UNKNOWN_FIELD", code: 400, status: badArgument,
		message: `Invalid JSON payload received. Unknown name "key" at 'message': Cannot find field.`,
		types:   []string{"BadRequest"}, field: "message"},
	{name: "NO_TARGET", code: 400, status: badArgument, message: "Recipient of the message is not set.",
		fcmError: badArgument, types: []string{"BadRequest", "FcmError"}, field: "message", sdk: said{invalid: true}},
	{name: "BAD_TOPIC", code: 400, status: badArgument, message: "Topic name contains invalid characters.",
		fcmError: badArgument, types: []string{"BadRequest", "FcmError"}, field: "message", sdk: said{invalid: true}},
	{name: "BAD_CONDITION", code: 400, status: badArgument, message: "Request contains an invalid argument."},
	{name: "WEBPUSH_TTL", code: 400, status: badArgument, message: "TTL must be a non-negative integer.",
		fcmError: badArgument, types: []string{"BadRequest", "FcmError"}, field: "message.webpush.headers.TTL", sdk: said{invalid: true}},
	{name: "SENDER_ID_MISMATCH", code: 403, status: "PERMISSION_DENIED", message: "SenderId mismatch",
		fcmError: "SENDER_ID_MISMATCH", types: []string{"FcmError"}, sdk: said{sender: true}},
	{name: "PERMISSION_DENIED", code: 403, status: "PERMISSION_DENIED", message: "The caller does not have permission"},
	{name: "QUOTA_PROJECT", code: 429, status: "RESOURCE_EXHAUSTED", message: "Quota exceeded for quota metric 'Send requests' " +
		"and limit 'Send requests per minute' of service 'fcm.googleapis.com' for consumer 'project_number:",
		types: []string{"ErrorInfo", "Help"}}, // IsQuotaExceeded is false: no FcmError
	{name: "QUOTA_DEVICE", code: 429, status: "RESOURCE_EXHAUSTED",
		fcmError: "QUOTA_EXCEEDED", types: []string{"FcmError", "QuotaFailure"}, sdk: said{quota: true}},
	{name: "QUOTA_DEVICE_BARE", code: 429, status: "RESOURCE_EXHAUSTED",
		fcmError: "QUOTA_EXCEEDED", types: []string{"FcmError"}, sdk: said{quota: true}},
	{name: "UNAVAILABLE", code: 503, status: "UNAVAILABLE", message: "The service is currently unavailable.",
		fcmError: "UNAVAILABLE", types: []string{"FcmError"}, sdk: said{unavailable: true}},
	{name: "UNAVAILABLE_BARE", code: 503, status: "UNAVAILABLE", message: "The service is currently unavailable."},
	{name: "INTERNAL", code: 500, status: "INTERNAL", message: "Internal error encountered.",
		fcmError: "INTERNAL", types: []string{"FcmError"}, sdk: said{internal: true}},
	{name: "BAD_GATEWAY", code: 502, message: "Please try again in 30 seconds"},
	{name: "THIRD_PARTY_AUTH", code: 401, status: "UNAUTHENTICATED", message: "Auth error from APNS or Web Push Service",
		fcmError: "THIRD_PARTY_AUTH_ERROR", types: []string{"FcmError"}, sdk: said{thirdParty: true}},
	{name: "THIRD_PARTY_AUTH_OTHER", code: 401, status: "UNAUTHENTICATED", message: "Request is missing required authentication credential.",
		fcmError: "THIRD_PARTY_AUTH_ERROR", types: []string{"FcmError"}, sdk: said{thirdParty: true}},
	{name: "UNAUTHENTICATED", code: 401, status: "UNAUTHENTICATED", message: "Request is missing required authentication credential.",
		types: []string{"ErrorInfo"}},
	{name: "UNAUTHENTICATED_HTML", code: 401, message: "Your client does not have permission"},
}

func TestRowsAreTheAnswers(t *testing.T) {
	t.Parallel()
	var names []string
	for _, r := range rows {
		names = append(names, r.name)
	}
	for name := range answers {
		if !slices.Contains(names, name) {
			t.Errorf("%s has no row in the table", name)
		}
	}
}

func TestAdminSDKDecodesEveryRow(t *testing.T) {
	t.Parallel()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{})
			// The SDK repeats a 503 after 0, 1, 2 and 4 seconds, except if it
			// would have to wait for more than two minutes.
			if err := s.SetOutcomes(Outcome{Token: token, Outcome: row.name, RetryAfter: time.Hour}); err != nil {
				t.Fatal(err)
			}
			ctx := within(t)
			_, err := admin(t, s).Send(ctx, phone(token, messaging.Message{}))
			if err == nil {
				t.Fatal("sent")
			}
			if got := ask(err); got != row.sdk {
				t.Errorf("the SDK says %+v, want %+v; error %v", got, row.sdk, err)
			}
			resp := errorutils.HTTPResponse(err)
			switch {
			case resp == nil:
				t.Fatalf("no response")
			case resp.StatusCode != row.code:
				t.Fatalf("response: status code %v, want %v", resp.StatusCode, row.code)
			}
			if row.status != "" && !strings.HasPrefix(err.Error(), row.message) {
				t.Errorf("the SDK's text is %q, want %q", err, row.message)
			}
			switch st := s.Stats(); {
			case st.Requests != 1:
				t.Errorf("stats: requests %v, want 1", st.Requests)
			case st.Outcomes[row.name] != 1:
				t.Errorf("outcome %s counted %v times, want 1", row.name, st.Outcomes[row.name])
			case st.Accepted != 0:
				t.Errorf("stats: accepted %v, want 0", st.Accepted)
			}
		})
	}
}

func TestRowBodies(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			target := "row-" + strings.ToLower(row.name)
			s.SetOutcome(target, row.name)
			got := post(t, s, toToken(target))
			if got.code != row.code {
				t.Errorf("code %d, want %d", got.code, row.code)
			}
			if row.status == "" {
				switch {
				case !strings.Contains(got.body, row.message):
					t.Errorf("HTML page: body %q, want %q in it", got.body, row.message)
				case json.Valid([]byte(got.body)):
					t.Errorf("HTML page: is JSON: %s", got.body)
				case got.header.Get("Content-Type") != typeHTML[0]:
					t.Errorf("HTML page: Content-Type %v, want %v; body %s", got.header.Get("Content-Type"), typeHTML[0], got.body)
				}
				return
			}
			sameBody(t, got.body, row.code, row.status, row.message, row.fcmError, row.field, row.types)
		})
	}
}

// errorBody is an error of Google in JSON.
type errorBody struct {
	Error struct {
		Code            int
		Message, Status string
		Details         []struct {
			Type      string `json:"@type"`
			ErrorCode string
			Reason    string
			Domain    string
			Metadata  map[string]string
			Links     []map[string]string
			Faults    []struct{ Field, Description string } `json:"fieldViolations"`
		}
	}
}

func parse(t *testing.T, body string) errorBody {
	t.Helper()
	var e errorBody
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return e
}

func sameBody(t *testing.T, body string, code int, status, message, fcm, field string, types []string) {
	t.Helper()
	e := parse(t, body).Error
	switch {
	case e.Code != code:
		t.Errorf("code %v, want %v", e.Code, code)
	case e.Status != status:
		t.Errorf("status %v, want %v", e.Status, status)
	case !strings.HasPrefix(e.Message, message):
		t.Errorf("message %q, want %q at its start", e.Message, message)
	}
	var gotTypes []string
	var gotFCM, gotField string
	for _, d := range e.Details {
		gotTypes = append(gotTypes, d.Type[strings.LastIndexByte(d.Type, '.')+1:])
		gotFCM += d.ErrorCode
		if len(d.Faults) > 0 {
			gotField = d.Faults[0].Field
		}
	}
	switch {
	case !slices.Equal(gotTypes, types):
		t.Errorf("types of details %v, want %v", gotTypes, types)
	case gotFCM != fcm:
		t.Errorf("FcmError %v, want %v", gotFCM, fcm)
	case gotField != field:
		t.Errorf("field %v, want %v", gotField, field)
	}
	if len(types) == 0 && strings.Contains(body, "details") {
		t.Errorf("details in %s", body)
	}
}
