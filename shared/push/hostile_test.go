package push_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestNumbersThatWouldChangeAreRefused: what Firestore would keep as another number,
// and text with a NUL.
func TestNumbersThatWouldChangeAreRefused(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`1e-400`: "too small", `-1.5e-999`: "too small", `123456789012345678901234567890`: "more than 64 bits", `1e400`: "too large",
		`"a\u0000b"`: "NUL", `["a\u0000"]`: "NUL",
		`0`: "", `0.0e9`: "", `9223372036854775807`: "", `1e300`: "", `1e-300`: "", `"a"`: "",
	} {
		t.Run(value, func(t *testing.T) {

			_, faults := push.ParsePatch(map[string]json.RawMessage{"attributes": json.RawMessage(`{"a":` + value + `}`)}, "body")
			got := faults.Error()
			if !strings.Contains(got, want) {
				t.Errorf("%s: the faults are %q, want them to contain %q", value, got, want)
			}
			check.Equal(t, got == "", want == "", "%s: that it has no fault (%q)", value, got)
		})
	}
}

// TestLinksThatHideWhereTheyLead are refused.
func TestLinksThatHideWhereTheyLead(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"https://shop.example@evil.example/": "user information", "https://user:pw@shop.example/": "user information",
		"https://shop.example/\u202egpj.exe": "direction", "https://shop.example/a@b": "", "app://open/1": "",
		"https://shop.example@evil.example/{{ customer.v }}": "user information", `https:\\shop.example@evil.example/`: "user information",
		"https://shop.example/\u202e{{ customer.v }}": "direction", "https://shop.example/{{ customer.v }}": "",
		"intent://open/#Intent;package=com.evil;end": "intent", "Intent:#Intent;end": "intent", "java\nscript:alert(1)": "javascript",
		"intent://open/{{ customer.v }}": "intent", "mailto:help@shop.example": "",
	} {
		t.Run(link, func(t *testing.T) {

			d := push.Draft{Message: json.RawMessage(`{"data":{"a":"b"}}`), Link: link, Audience: push.Audience{Everyone: true}}
			got := d.Check(time.Now()).Error()
			if !strings.Contains(got, want) {
				t.Errorf("%s: the fault is %q, want it to contain %q", link, got, want)
			}
			check.Equal(t, got == "", want == "", "%s: that it has no fault (%q)", link, got)
		})
	}
}

// TestLinksOfAMessageThatHideWhereTheyLead are refused wherever they stand in a
// message, with their place; texts that look alike are taken.
func TestLinksOfAMessageThatHideWhereTheyLead(t *testing.T) {
	t.Parallel()
	const runs, who, turned = "is executed", "user information", "direction"
	for message, want := range map[string]string{
		`{"webpush":{"fcm_options":{"link":"javascript:alert(1)"}}}`:                                 "body.message.webpush.fcm_options.link " + runs,
		`{"webpush":{"fcmOptions":{"link":" java\tscript:alert(1)"}}}`:                               "body.message.webpush.fcmOptions.link " + runs,
		`{"webpush":{"fcm_options":{"link":"data:text/html,x"}}}`:                                    "body.message.webpush.fcm_options.link " + runs,
		`{"webpush":{"fcm_options":{"link":"https://shop.example@evil.example/"}}}`:                  "body.message.webpush.fcm_options.link has " + who,
		`{"webpush":{"fcm_options":{"link":"/\\shop.example@evil.example/"}}}`:                       "body.message.webpush.fcm_options.link has " + who,
		`{"webpush":{"fcm_options":{"link":"https://shop.example/\u202e{{ customer.v }}"}}}`:         "body.message.webpush.fcm_options.link has control characters, or some that change the " + turned,
		`{"webpush":{"notification":{"navigate":"vbscript:x","title":"a"}}}`:                         "body.message.webpush.notification.navigate " + runs,
		`{"webpush":{"notification":{"actions":[{"title":"a"},{"navigate":"javascript:x"}]}}}`:       "body.message.webpush.notification.actions[1].navigate " + runs,
		`{"webpush":{"notification":{"icon":"javascript:x","title":"a"}}}`:                           "body.message.webpush.notification.icon " + runs,
		`{"webpush":{"notification":{"icon":"data:image/png;base64,AAAA","title":"a"}}}`:             "",
		`{"android":{"notification":{"click_action":"intent://x#Intent;end","title":"a"}}}`:          "body.message.android.notification.click_action " + runs,
		`{"android":{"notification":{"click_action":"OPEN_SALE","title":"a"}}}`:                      "",
		`{"android":{"notification":{"image":"https://u:p@shop.example/a.png","title":"a"}}}`:        "body.message.android.notification.image has " + who,
		`{"notification":{"image":"javascript:x","title":"a"}}`:                                      "body.message.notification.image " + runs,
		`{"apns":{"payload":{"aps":{"alert":"a"},"deep-link":"javascript:x"}}}`:                      "body.message.apns.payload.deep-link " + runs,
		`{"apns":{"payload":{"aps":{"alert":"a"}},"fcm_options":{"image":"https://u@x.example/"}}}`:  "body.message.apns.fcm_options.image has " + who,
		`{"data":{"deepLink":"intent:#Intent;end"}}`:                                                 "body.message.data.deepLink " + runs,
		`{"android":{"data":{"url":"javascript:x"}}}`:                                                "body.message.android.data.url " + runs,
		`{"data":{"url":"/sale?mail=a@b.example","link_text":"javascript: the good parts"}}`:         "",
		`{"notification":{"title":"Intent: to save","body":"data: 5 GB free"}}`:                      "",
		`{"data":{"url":"app://open/1"},"webpush":{"fcm_options":{"link":"https://shop.example/"}}}`: "",
	} {
		t.Run(message, func(t *testing.T) {

			d := push.Draft{Message: json.RawMessage(message), Audience: push.Audience{Everyone: true}}
			got := ""
			for _, f := range d.Check(time.Now()) {
				got += f.Location + " " + f.Message
			}

			if !strings.HasPrefix(got, want) {
				t.Errorf("%s: the faults are %q, want the prefix %q", message, got, want)
			}

			check.Equal(t, got == "", want == "", "%s: that it has no fault (%q)", message, got)
		})
	}

	many := `{"data":{"a":"b"},"links":["` + strings.Repeat(`javascript:x","`, 500) + `"]}`
	d := push.Draft{Message: json.RawMessage(many), Audience: push.Audience{Everyone: true}}
	faults := d.Check(time.Now())
	if len(faults) != 21 {
		t.Fatalf("500 links have %d faults, want 20 and one that says that there are more", len(faults))
	}
	if !strings.Contains(faults[20].Message, "480 more") {
		t.Errorf("the last fault of 500 links is %q, want it to contain %q", faults[20].Message, "480 more")
	}
}
