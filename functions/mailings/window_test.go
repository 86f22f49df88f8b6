package mailings_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// hourly is what a preview says of hours.
type hourly struct {
	Tokens, Expired, Seconds int64
	LastOpens                *time.Time
}

// The preview says how many find no hours before the lifetime ends, and counts the time
// until the last hours begin. At noon of UTC it is 14:00 in Riga, 7:00 in New York and 21:00
// in Tokyo.
func TestPreviewOfHours(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	zones := []string{"Europe/Riga", "America/New_York", "Asia/Tokyo"}
	lines := make([]store.ImportLine, 30)
	for i := range lines {
		id := fmt.Sprint("c", i)
		lines[i] = store.ImportLine{Customer: id, Patch: push.CustomerPatch{TimeZone: &zones[i%3]},
			Tokens: []push.Registration{{Kind: push.KindToken, Value: "token of " + id, Platform: push.Android}}}
	}
	refused, _, err := w.store.ImportCustomers(t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		t.Fatal(err)
	}

	newYork := w.clock.Now().Add(2 * time.Hour)
	tokyo := w.clock.Now().Add(12 * time.Hour)
	const window = `"window":{"from":"09:00","to":"18:00"}`
	for _, test := range []struct {
		name, fields string
		want         hourly
	}{
		{"at any time", `"lifetime":"24h"`, hourly{Tokens: 30, Seconds: 1}},
		{"all find hours", window + `,"lifetime":"24h"`, hourly{Tokens: 30, Seconds: 12*3600 + 1, LastOpens: &tokyo}},
		{"Tokyo finds none", window + `,"lifetime":"5h"`, hourly{Tokens: 30, Expired: 10, Seconds: 2*3600 + 1, LastOpens: &newYork}},
		{"only Riga finds some", window + `,"lifetime":"1h"`, hourly{Tokens: 30, Expired: 20, Seconds: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := testcloud.Decode[hourly](w.Ask("POST", "/v1/mailings/preview",
				`{"message":{"notification":{"title":"x"}},"audience":{"everyone":true},`+test.fields+`}`), http.StatusOK)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the preview (-want +got):\n%s", diff)
			}
		})
	}
}

// The faults of a window are named at their places, and a window beside immediately is one.
func TestFaultsOfAWindowAreNamed(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	answer := w.Ask("POST", "/v1/mailings", `{"message":{"notification":{"title":"x"}},"audience":{"everyone":true},"immediately":true,
		"window":{"from":"24:00","to":"8","days":["monday"],"timeZone":"Mars"}}`)
	if answer.Status != http.StatusUnprocessableEntity {
		t.Errorf("the status is %d, want 422: %s", answer.Status, answer.Body)
	}
	for _, place := range []string{"body.window.from", "body.window.to", "body.window.days[0]", "body.window.timeZone", "body.immediately"} {
		if !strings.Contains(answer.Body, `"`+place+`"`) {
			t.Errorf("the faults do not name %s: %s", place, answer.Body)
		}
	}
}
