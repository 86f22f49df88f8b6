package fcm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const badSize = "PAYLOAD_TOO_LARGE"

// validated has messages and the errors of FCM for them: the outcome, the field of the first
// violation and the start of the text.
var validated = []struct {
	name, body, outcome, field, text string
	fcm                              bool // the details have an FcmError
}{
	{name: "good", body: `{"message":{"token":"%s","data":{"a":"b"}}}`, outcome: OK},
	{name: "camel case", outcome: OK, body: `{"validateOnly":false,"message":{"token":"%s","android":{"collapseKey":"k","restrictedPackageName":"p","directBootOk":true},"fcmOptions":{"analyticsLabel":"l"}}}`},
	{name: "android v2", outcome: OK, body: `{"message":{"token":"%s","android_v2":{"ttl":"3s","remote_notification":{"mutable_content":true,"notification":{"id":3,"title":"t"}}}}}`},
	{name: "null is absent", outcome: OK, body: `{"message":{"token":"%s","topic":null,"android":null}}`},
	{name: "values as strings", outcome: OK, body: `{"message":{"token":"%s","android":{"direct_boot_ok":"true","notification":{"notification_count":"3"}}}}`},
	{name: "free payload", outcome: OK, body: `{"message":{"token":"%s","apns":{"payload":{"aps":{"x":[1,{"y":null}]},"any":1.5e3}},"webpush":{"notification":{"z":true}}}}`},
	{name: "ttl 3.5s", outcome: OK, body: `{"message":{"token":"%s","android":{"ttl":"3.5s"}}}`},
	{name: "ttl 28 days", outcome: OK, body: `{"message":{"token":"%s","android":{"ttl":"2419200s"}}}`},
	{name: "data key notification", outcome: OK, body: `{"message":{"token":"%s","data":{"notification":"x"}}}`},

	{name: "empty", body: ``, outcome: "NO_TARGET", field: "message", text: "Recipient of the message is not set.", fcm: true},
	{name: "no message", body: `{}`, outcome: "NO_TARGET", field: "message", fcm: true},
	{name: "no target", body: `{"message":{"data":{"a":"b"}}}`, outcome: "NO_TARGET", field: "message", fcm: true},
	{name: "empty target", body: `{"message":{"token":""}}`, outcome: "NO_TARGET", field: "message", fcm: true},
	{name: "two targets", body: `{"message":{"token":"%s","topic":"a"}}`, outcome: "TWO_TARGETS", field: "message", text: "Invalid value at 'message' (oneof), oneof field 'target' is already set. Cannot set 'topic'"},
	{name: "fid and token", body: `{"message":{"fid":"fid-01234567","token":"%s"}}`, outcome: "TWO_TARGETS", field: "message"},

	{name: "unknown in message", body: `{"message":{"token":"%s","key":1}}`, outcome: "UNKNOWN_FIELD", field: "message", text: `Invalid JSON payload received. Unknown name "key" at 'message': Cannot find field.`},
	{name: "unknown at top", body: `{"message":{"token":"%s"},"to":"x"}`, outcome: "UNKNOWN_FIELD", text: `Invalid JSON payload received. Unknown name "to": Cannot find field.`},
	{name: "unknown deep", body: `{"message":{"token":"%s","android":{"notification":{"light_settings":{"color":{"pink":1}}}}}}`, outcome: "UNKNOWN_FIELD", field: "message.android.notification.light_settings.color", text: `Invalid JSON payload received. Unknown name "pink" at 'message.android.notification.light_settings.color'`},
	{name: "unknown in webpush", body: `{"message":{"token":"%s","webpush":{"ttl":"3s"}}}`, outcome: "UNKNOWN_FIELD", field: "message.webpush"},
	{name: "unknown in apns", body: `{"message":{"token":"%s","apns":{"fcm_options":{"link":"x"}}}}`, outcome: "UNKNOWN_FIELD", field: "message.apns.fcm_options"},
	{name: "two faults", body: `{"message":{"token":"%s","a":1,"b":2}}`, outcome: "UNKNOWN_FIELD", text: "Invalid JSON payload received. Unknown name \"a\" at 'message': Cannot find field.\nInvalid JSON payload received. Unknown name \"b\""},
	{name: "list for string", body: `{"message":{"token":["%s"]}}`, outcome: "UNKNOWN_FIELD", field: "message", text: `Invalid JSON payload received. Unknown name "token" at 'message': Proto field is not repeating, cannot start list.`},

	{name: "list for message", body: `{"message":{"token":"%s","notification":[]}}`, outcome: "UNKNOWN_FIELD", field: "message", text: `Invalid JSON payload received. Unknown name "notification" at 'message': Proto field is not repeating, cannot start list.`},
	{name: "list for free payload", body: `{"message":{"token":"%s","apns":{"payload":[]}}}`, outcome: "UNKNOWN_FIELD", field: "message.apns", text: `Invalid JSON payload received. Unknown name "payload" at 'message.apns': Proto field is not repeating, cannot start list.`},
	{name: "list for map", body: `{"message":{"token":"%s","data":[]}}`, outcome: "PAYLOAD_FIELD", field: "message.data", text: "Invalid value at 'message.data' (Map), Cannot bind a list to map for field 'data'."},
	{name: "null for map", body: `{"message":{"token":"%s","data":null,"android":{"data":null}}}`, outcome: OK},
	{name: "both androids", body: `{"message":{"token":"%s","android":{"ttl":"3s"},"android_v2":{}}}`, outcome: "BOTH_ANDROID", field: "message.android_v2", fcm: true},
	{name: "both androids, one null", body: `{"message":{"token":"%s","android":null,"androidV2":{"ttl":"3s"}}}`, outcome: OK},
	{name: "last number of an enum", body: `{"message":{"token":"%s","android":{"priority":1}}}`, outcome: OK},
	{name: "number beyond an enum", body: `{"message":{"token":"%s","android":{"priority":2}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.priority"},

	{name: "number in data", body: `{"message":{"token":"%s","data":{"a":12}}}`, outcome: "PAYLOAD_FIELD", field: "message.data[0].value", text: "Invalid value at 'message.data[0].value' (TYPE_STRING), 12"},
	{name: "second in data", body: `{"message":{"token":"%s","data":{"a":"b","c":{"d":1}}}}`, outcome: "PAYLOAD_FIELD", field: "message.data[1].value"},
	{name: "number for title", body: `{"message":{"token":"%s","notification":{"title":7}}}`, outcome: "PAYLOAD_FIELD", field: "message.notification.title", text: "Invalid value at 'message.notification.title' (TYPE_STRING), 7"},
	{name: "string for flag", body: `{"message":{"token":"%s","android":{"direct_boot_ok":"yes"}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.direct_boot_ok", text: `Invalid value at 'message.android.direct_boot_ok' (TYPE_BOOL), "yes"`},
	{name: "fraction for count", body: `{"message":{"token":"%s","android":{"notification":{"notification_count":1.5}}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.notification.notification_count"},
	{name: "enum", body: `{"message":{"token":"%s","android":{"priority":"urgent"}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.priority", text: `Invalid value at 'message.android.priority' (type.googleapis.com/google.firebase.fcm.v1.AndroidMessagePriority), "urgent"`},
	{name: "string for object", body: `{"message":{"token":"%s","apns":{"payload":"{}"}}}`, outcome: "PAYLOAD_FIELD", field: "message.apns.payload"},
	{name: "list of numbers", body: `{"message":{"token":"%s","android":{"notification":{"title_loc_args":["a",3]}}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.notification.title_loc_args[1]"},
	{name: "time", body: `{"message":{"token":"%s","android":{"notification":{"event_time":"noon"}}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.notification.event_time"},
	{name: "number for ttl", body: `{"message":{"token":"%s","android":{"ttl":3600}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.ttl"},
	{name: "ttl without s", body: `{"message":{"token":"%s","android":{"ttl":"3600"}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.ttl", text: "Invalid value at 'message.android.ttl' (type.googleapis.com/google.protobuf.Duration), Field 'ttl', Illegal duration format; duration must end with 's'"},
	{name: "vibration", body: `{"message":{"token":"%s","android":{"notification":{"vibrate_timings":["1s","x"]}}}}`, outcome: "PAYLOAD_FIELD", field: "message.android.notification.vibrate_timings[1]"},

	{name: "bad topic", body: `{"message":{"topic":"a b"}}`, outcome: "BAD_TOPIC", field: "message", text: "Topic name contains invalid characters.", fcm: true},
	{name: "bad condition", body: `{"message":{"condition":"'a' in topic"}}`, outcome: "BAD_CONDITION", text: "Request contains an invalid argument."},
	{name: "condition of six", body: `{"message":{"condition":"'a' in topics||'a' in topics||'a' in topics||'a' in topics||'a' in topics||'a' in topics"}}`, outcome: "BAD_CONDITION"},
	{name: "reserved from", body: `{"message":{"token":"%s","data":{"from":"x"}}}`, outcome: "RESERVED_KEY", field: "message.data", text: "Invalid data payload key: from", fcm: true},
	{name: "reserved google.", body: `{"message":{"token":"%s","data":{"google.x":"x"}}}`, outcome: "RESERVED_KEY", fcm: true},
	{name: "reserved gcm.", body: `{"message":{"token":"%s","android":{"data":{"gcm.x":"x"}}}}`, outcome: "RESERVED_KEY", field: "message.android.data", fcm: true},
	{name: "reserved type", body: `{"message":{"token":"%s","data":{"message_type":"x"}}}`, outcome: "RESERVED_KEY", fcm: true},
	{name: "ttl too long", body: `{"message":{"token":"%s","android":{"ttl":"2419201s"}}}`, outcome: "BAD_TTL", field: "message.android.ttl", fcm: true},
	{name: "ttl negative", body: `{"message":{"token":"%s","android":{"ttl":"-1s"}}}`, outcome: "BAD_TTL", field: "message.android.ttl", fcm: true},
	{name: "web ttl", body: `{"message":{"token":"%s","webpush":{"headers":{"TTL":"-1"}}}}`, outcome: "WEBPUSH_TTL", field: "message.webpush.headers.TTL", text: "TTL must be a non-negative integer.", fcm: true},
	{name: "web ttl empty", body: `{"message":{"token":"%s","webpush":{"headers":{"ttl":""}}}}`, outcome: "WEBPUSH_TTL", fcm: true},
	{name: "label", body: `{"message":{"token":"%s","apns":{"fcm_options":{"analytics_label":"a b"}}}}`, outcome: "BAD_LABEL", field: "message.apns.fcm_options.analytics_label", fcm: true},
	{name: "label of 51", body: `{"message":{"token":"%s","fcm_options":{"analytics_label":"` + strings.Repeat("a", 51) + `"}}}`, outcome: "BAD_LABEL", field: "message.fcm_options.analytics_label", fcm: true},

	{name: "4096 bytes", outcome: OK, body: `{"message":{"token":"%s","data":{"key":"` + strings.Repeat("x", 4093) + `"}}}`},
	{name: "4097 bytes", outcome: badSize, text: "Message is too large. The maximum is 4K (4096 bytes).", fcm: true, body: `{"message":{"token":"%s","data":{"key":"` + strings.Repeat("x", 4094) + `"}}}`},
	{name: "4098 bytes of two-byte letters", outcome: badSize, fcm: true, body: `{"message":{"token":"%s","data":{"ab":"` + strings.Repeat("ü", 2048) + `"}}}`},
	{name: "the same, escaped", outcome: badSize, fcm: true, body: `{"message":{"token":"%s","data":{"ab":"` + strings.Repeat(`\u00fc`, 2048) + `"}}}`},
	{name: "large for Apple only", outcome: badSize, fcm: true, body: `{"message":{"token":"%s","apns":{"payload":{"aps":{"alert":"` + strings.Repeat("x", 4096) + `"}}}}}`},
	{name: "halves of two platforms", outcome: OK, body: `{"message":{"token":"%s","android":{"data":{"k":"` + strings.Repeat("x", 3000) + `"}},"apns":{"payload":{"k":"` + strings.Repeat("x", 3000) + `"}}}}`},
	{name: "2048 bytes to a topic", outcome: OK, body: `{"message":{"topic":"a","data":{"key":"` + strings.Repeat("x", 2045) + `"}}}`},
	{name: "2049 bytes to a topic", outcome: badSize, text: "Message is too large. The maximum is 2K (2048 bytes).", fcm: true, body: `{"message":{"topic":"a","data":{"key":"` + strings.Repeat("x", 2046) + `"}}}`},
	{name: "large beside the payload", outcome: badSize, fcm: true, body: `{"message":{"token":"%s","android":{"collapse_key":"` + strings.Repeat("x", maxRequest) + `"}}}`},
	{name: "payload before token", body: `{"message":{"token":"bad","data":{"from":"x"}}}`, outcome: "RESERVED_KEY", fcm: true},
	{name: "short token", body: `{"message":{"token":"bad"}}`, outcome: "INVALID_TOKEN", field: "message.token", text: badToken, fcm: true},
	{name: "token with a blank", body: `{"message":{"token":"token 0123456789"}}`, outcome: "INVALID_TOKEN", field: "message.token", fcm: true},

	{name: "not JSON", body: `{"message":{`, outcome: "NOT_JSON", text: "Invalid JSON payload received. Unexpected token."},
	{name: "trailing comma", body: `{"message":{"token":"%s",}}`, outcome: "NOT_JSON"},
	{name: "more after", body: `{"message":{"token":"%s"}} x`, outcome: "NOT_JSON"},
	{name: "not UTF-8", body: "{\"message\":{\"token\":\"%s\",\"data\":{\"a\":\"\xff\"}}}", outcome: "NOT_JSON"},
	{name: "deep", body: `{"message":{"token":"%s","apns":{"payload":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}}}`, outcome: "NOT_JSON"},
	{name: "too much", body: `{"message":{"token":"%s","data":{"a":"` + strings.Repeat("x", maxBody) + `"}}}`, outcome: "REQUEST_TOO_LARGE"},
}

func TestMessagesAreValidatedAsByFCM(t *testing.T) {
	t.Parallel()
	for _, c := range validated {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{})
			got := post(t, s, strings.ReplaceAll(c.body, "%s", token))
			switch st := s.Stats(); {
			case st.Outcomes[c.outcome] != 1:
				t.Fatalf("outcome %s counted %v times, want 1; body %s", c.outcome, st.Outcomes[c.outcome], got.body)
			case st.Requests != 1:
				t.Fatalf("stats: requests %v, want 1; body %s", st.Requests, got.body)
			case st.Kept != st.Accepted:
				t.Fatalf("stats: kept %v, want %v; body %s", st.Kept, st.Accepted, got.body)
			case (st.Kept == 1) != (c.outcome == OK):
				t.Fatalf("%v messages kept for %s; body %s", st.Kept, c.outcome, got.body)
			}
			if c.outcome == OK {
				return
			}
			e := parse(t, got.body).Error
			switch {
			case got.code != 400:
				t.Errorf("code %v, want 400", got.code)
			case e.Code != 400:
				t.Errorf("code %v, want 400", e.Code)
			case e.Status != badArgument:
				t.Errorf("status %v, want %v", e.Status, badArgument)
			case !strings.HasPrefix(e.Message, c.text):
				t.Errorf("message %q, want %q at its start", e.Message, c.text)
			}
			field, fcm := "", false
			for _, d := range e.Details {
				fcm = fcm || strings.HasSuffix(d.Type, ".FcmError") && d.ErrorCode == badArgument
				if len(d.Faults) > 0 {
					field = d.Faults[0].Field
				}
			}
			switch {
			case fcm != c.fcm:
				t.Errorf("FcmError %v, want %v; body %s", fcm, c.fcm, got.body)
			case c.field != "" && field != c.field:
				t.Errorf("field %q, want %q; body %s", field, c.field, got.body)
			}
		})
	}
}

func TestTopicLimitCanBeTheOneOfCaptures(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.Configure(Settings{TopicLimit: PayloadLimit}); err != nil {
		t.Fatal(err)
	}
	for size, code := range map[int]int{4095: 200, 4096: 400} {
		if got := post(t, s, fmt.Sprintf(`{"message":{"topic":"a","data":{"k":"%s"}}}`, strings.Repeat("x", size))); got.code != code {
			t.Errorf("%d bytes and a key: %d, want %d", size, got.code, code)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"'a' in topics": true, "!('a' in topics)": true, "'a' in topics && ('b' in topics || 'c' in topics)": true,
		"'a-b_.~%' in topics||'b' in topics": true, "": false, "'a'": false, "'a' in topics &&": false,
		"('a' in topics": false, "'a' in topics 'b' in topics": false, `"a" in topics`: false, "'a b' in topics": false,
		strings.Repeat("(", 1000) + "'a' in topics" + strings.Repeat(")", 1000): false,
	} {
		if validCondition(text) != good {
			t.Errorf("%.60q: want %t", text, good)
		}
	}
}

// FuzzDecode compares the decoder with encoding/json: both accept the same texts as JSON,
// and the stored part of a message is JSON, too.
func FuzzDecode(f *testing.F) {
	for _, c := range validated {
		if len(c.body) < 1000 {
			f.Add(strings.ReplaceAll(c.body, "%s", token))
		}
	}
	f.Add(`{"message":{"data":{"\ud83d\ude00\ud83d":"\/\b"}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		m, err := decodeRequest(body)
		if err == nil && strings.TrimSpace(body) != "" && !json.Valid([]byte(body)) {
			t.Fatalf("%q is accepted, but is not JSON", body)
		}
		if err != nil {
			return
		}
		if m.raw != "" && !json.Valid([]byte(m.raw)) {
			t.Fatalf("the stored message %q is not JSON", m.raw)
		}
		var data struct {
			Message struct {
				Token *string
				Data  map[string]any
			}
		}
		if m.validate(TopicPayloadLimit) == nil && json.Unmarshal([]byte(body), &data) == nil && data.Message.Token != nil && *data.Message.Token != m.values[slotToken] &&
			strings.Count(body, `oken"`) == 1 {
			t.Fatalf("token %q, want %q", m.values[slotToken], *data.Message.Token)
		}
	})
}
