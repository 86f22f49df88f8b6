package push_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

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
		_, faults := push.ParsePatch(map[string]json.RawMessage{"attributes": json.RawMessage(`{"a":` + value + `}`)}, "body")
		if got := faults.Error(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// TestLinksThatHideWhereTheyLead are refused.
func TestLinksThatHideWhereTheyLead(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"https://shop.example@evil.example/": "user information", "https://user:pw@shop.example/": "user information",
		"https://shop.example/\u202egpj.exe": "direction", "https://shop.example/a@b": "", "app://open/1": "",
	} {
		d := push.Draft{Message: json.RawMessage(`{"data":{"a":"b"}}`), Link: link, Audience: push.Audience{Everyone: true}}
		got := d.Check(time.Now()).Error()
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}
