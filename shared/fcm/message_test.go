package fcm

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"carillon.example/shared/push"
)

func TestCompile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ object, want string }{
		"without data": {`{"notification":{"title":"a"}}`,
			`{"notification":{"title":"a"},"data":{"mailing_id":"m\"1","link":"https://x/?a=1&b","customer_id":"c\\1"},"token":"t\"1"}`},
		"empty": {`{}`, `{"data":{"mailing_id":"m\"1","link":"https://x/?a=1&b","customer_id":"c\\1"},"token":"t\"1"}`},
		"data": {`{"data":{"a":"b"},"x_unknown":[1,{"y":null}]}`,
			`{"data":{"a":"b","mailing_id":"m\"1","link":"https://x/?a=1&b","customer_id":"c\\1"},"x_unknown":[1,{"y":null}],"token":"t\"1"}`},
		"data null": {`{"data":null}`, `{"data":{"mailing_id":"m\"1","link":"https://x/?a=1&b","customer_id":"c\\1"},"token":"t\"1"}`},
		"platforms' data": {`{"android":{"data":{"k":"v","link":"own"},"ttl":"1s"},"webpush":{"headers":{"TTL":"1"}},"apns":{"data":{}}}`,
			`{"android":{"data":{"k":"v","mailing_id":"m\"1","link":"https://x/?a=1&b","customer_id":"c\\1"},"ttl":"1s"},"webpush":{"headers":{"TTL":"1"}},"apns":{"data":{}},` +
				`"data":{"mailing_id":"m\"1","link":"https://x/?a=1&b","customer_id":"c\\1"},"token":"t\"1"}`},
		"left to FCM": {`{"android":7,"data":{"n":12},"webpush":{"data":"x"}}`,
			`{"android":7,"data":{"n":12,"mailing_id":"m\"1","link":"https://x/?a=1&b","customer_id":"c\\1"},"webpush":{"data":"x"},"token":"t\"1"}`},
		"key in escapes": {`{"\u0064ata":{"a":"b"}}`, `{"data":{"a":"b","mailing_id":"m\"1","link":"https://x/?a=1&b","customer_id":"c\\1"},"token":"t\"1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Compile(json.RawMessage(c.object), Extra{MailingID: `m"1`, Link: "https://x/?a=1&b"})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}

			equalJSON(t, name, m.appendBody(nil, false, `c\1`, "token", `t"1`), `{"message":`+c.want+`}`)
			equalJSON(t, name+", dry", m.appendBody(nil, true, `c\1`, "token", `t"1`), `{"validate_only":true,"message":`+c.want+`}`)
		})
	}
}

// TestAndroidV2: FCM delivers its data instead of the message's, as it does
// android's, by either name.
func TestAndroidV2(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"android", "android_v2", "androidV2"} {
		t.Run(name, func(t *testing.T) {

			m, err := Compile(fmt.Appendf(nil, `{%q:{"data":{"screen":"%s"}}}`, name, strings.Repeat("x", 5000)), Extra{MailingID: "m1"})
			if err != nil {
				t.Fatal(err)
			}
			if n := m.Size("c1"); n < 5000 {
				t.Errorf("%s: 5,000 bytes of data have the size %d", name, n)
			}

			var sent struct{ Message map[string]json.RawMessage }
			var platform struct{ Data map[string]string }
			if m, err = Compile(fmt.Appendf(nil, `{%q:{"data":{"screen":"sale"}},"data":{}}`, name), Extra{MailingID: "m1", Link: "https://x"}); err != nil {
				t.Fatal(err)
			}

			err = json.Unmarshal(m.appendBody(nil, false, "c1", "token", "t1"), &sent)
			if err = errors.Join(err, json.Unmarshal(sent.Message[name], &platform)); err != nil {
				t.Fatal(err)
			}

			want := map[string]string{"screen": "sale", "mailing_id": "m1", "link": "https://x", "customer_id": "c1"}
			if got := platform.Data; !reflect.DeepEqual(got, want) {
				t.Errorf("%s: its data is %v, want %v", name, got, want)
			}
		})
	}
}

func equalJSON(t *testing.T, name string, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Errorf("%s: %s: %v", name, got, err)
		return
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: the test itself: %v", name, err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

func TestCompileKeepsBytes(t *testing.T) {
	t.Parallel()
	const raw = `{ "big":12345678901234567890.10, "esc":"\u00e4\/" }`
	m, err := Compile(json.RawMessage(`{"apns":`+raw+`}`), Extra{MailingID: "m"})
	if err != nil {
		t.Fatal(err)
	}

	body := string(m.appendBody(nil, false, "c", "fid", "f"))
	if !strings.Contains(body, raw) {
		t.Errorf("body = %q, want it to contain %q", body, raw)
	}
	if !strings.HasSuffix(body, `,"fid":"f"}}`) {
		t.Errorf("body = %q, want the suffix %q", body, `,"fid":"f"}}`)
	}
}

func TestCompileNamesFaults(t *testing.T) {
	t.Parallel()
	for object, at := range map[string][]string{
		``:                                    {"body.message"},
		`[]`:                                  {"body.message"},
		`null`:                                {"body.message"},
		`{"a":}`:                              {"body.message"},
		`{"a":1}x`:                            {"body.message"},
		"{\"a\":\"\xff\"}":                    {"body.message"},
		`{"data":"x"}`:                        {"body.message.data"},
		`{"data":[]}`:                         {"body.message.data"},
		`{"token":"x","topic":"y"}`:           {"body.message.token", "body.message.topic"},
		`{"fid":"x","condition":"y"}`:         {"body.message.fid", "body.message.condition"},
		`{"data":{},"data":{}}`:               {"body.message.data"},
		`{"data":{"mailing_id":"x"}}`:         {"body.message.data.mailing_id"},
		`{"data":{"customer_id":1,"link":2}}`: {"body.message.data.customer_id", "body.message.data.link"},
	} {
		t.Run(object, func(t *testing.T) {

			_, err := Compile(json.RawMessage(object), Extra{MailingID: "m", Link: "https://x"})
			faults, _ := errors.AsType[push.Faults](err)
			var got []string
			for _, f := range faults {
				got = append(got, f.Location)
			}

			if !reflect.DeepEqual(got, at) {
				t.Errorf("%s: faults %v (%v), want %v", object, got, err, at)
			}
		})
	}
	if _, err := Compile(json.RawMessage(`{"data":{"link":"own"}}`), Extra{MailingID: "m"}); err != nil {
		t.Errorf("a link of the message's own, without one of the mailing: %v", err)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	const ids = len("mailing_id") + len("m") + len("customer_id") + len("c")
	for object, want := range map[string]int{
		`{}`:                                      ids,
		`{"data":{"ab":"cde","ä":"\u00e4"}}`:      ids + 2 + 3 + 2 + 2,
		`{"notification":{"title":"abc"}}`:        ids + 5 + 3,
		`{"fcm_options":{"analytics_label":"x"}}`: ids,
		`{"android":{"ttl":"9s","notification":{"icon":"i"}},"apns":{"payload":{"a":1}}}`: ids + max(4+1, len(`{"a":1}`)),
		`{"data":{"a":"0123456789"},"android":{"data":{"b":"c"}}}`:                        ids + 11,
		`{"data":{"a":"b"},"webpush":{"data":{"b":"0123456789"}}}`:                        ids + 11,
		`{"data":{"n":12}}`: ids + 3,
	} {
		t.Run(object, func(t *testing.T) {
			m, err := Compile(json.RawMessage(object), Extra{MailingID: "m"})
			if err != nil {
				t.Errorf("%s: %v", object, err)
				return
			}
			if got := m.Size("c"); got != want {
				t.Errorf("%s: %d bytes, want %d", object, got, want)
			}
		})
	}
}

// The label is added where the message has none of its own, and changes nothing else.
func TestLabel(t *testing.T) {
	t.Parallel()
	const own = `"data":{"mailing_id":"m","customer_id":"c"}`
	for object, want := range map[string]string{
		`{}`:                                         `{"fcm_options":{"analytics_label":"m1"},` + own + `}`,
		`{"notification":{"title":"x"}}`:             `{"notification":{"title":"x"},"fcm_options":{"analytics_label":"m1"},` + own + `}`,
		`{"data":{}}`:                                `{` + own + `,"fcm_options":{"analytics_label":"m1"}}`,
		`{"fcm_options":{},"data":{}}`:               `{"fcm_options":{"analytics_label":"m1"},` + own + `}`,
		`{"fcm_options":{"x":1}}`:                    `{"fcm_options":{"x":1,"analytics_label":"m1"},` + own + `}`,
		`{"fcm_options":"x"}`:                        `{"fcm_options":"x",` + own + `}`,
		`{"fcm_options":null,"data":{}}`:             `{"fcm_options":{"analytics_label":"m1"},` + own + `}`,
		`{"fcmOptions":{"analyticsLabel":"mine"}}`:   `{"fcmOptions":{"analyticsLabel":"mine"},` + own + `}`,
		`{"fcm_options":{"analytics_label":"mine"}}`: `{"fcm_options":{"analytics_label":"mine"},` + own + `}`,
	} {
		t.Run(object, func(t *testing.T) {
			m, err := Compile(json.RawMessage(object), Extra{MailingID: "m", Label: "m1"})
			if err != nil {
				t.Errorf("%s: %v", object, err)
				return
			}
			if got := string(m.Object("c")); got != want {
				t.Errorf("%s became %s, want %s", object, got, want)
			}
		})
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`{"data":{"a":"b"}}`, "m", "", "c", "t")
	f.Add(`{"android":{"data":{"a":null}},"data":null}`, "m\n", "https://x", "\xff", `"`)
	f.Fuzz(func(t *testing.T, object, mailing, link, customer, target string) {
		m, err := Compile(json.RawMessage(object), Extra{MailingID: mailing, Link: link, Label: mailing})
		if err != nil {
			return
		}

		var body struct {
			Message struct {
				Data  map[string]json.RawMessage `json:"data"`
				Token string                     `json:"token"`
			} `json:"message"`
		}
		b := m.appendBody(nil, true, customer, "token", target)
		if err := json.Unmarshal(b, &body); err != nil {
			t.Fatalf("%q: %s: %v", object, b, err)
		}

		var want string
		std, _ := json.Marshal(customer) // a string
		_ = json.Unmarshal(std, &want)
		if got := jsonText(body.Message.Data["customer_id"]); got != want {
			t.Errorf("%q: customer %q, want %q: %s", object, got, want, b)
		}
		if m.Size(customer) < len(customer)+len(mailing) {
			t.Errorf("%q: size %d", object, m.Size(customer))
		}
	})
}

func ExampleCompile() {
	m, err := Compile(json.RawMessage(`{"notification":{"title":"Spring sale"}}`), Extra{MailingID: "m1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Size("c1"), "bytes")
	// Output: 41 bytes
}
