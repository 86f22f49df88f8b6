package customers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestEventsOfPhonesCount: what was sent counts, an opening is published and shown, and
// a repeated request changes nothing.
func TestEventsOfPhonesCount(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.send("m1", []push.Target{w.device("anna", "anna-1")})
	w.settle("m1", 0, push.ResultAccepted)
	w.clock.Add(time.Hour)
	at := w.clock.Now().Add(-time.Minute).UTC()
	w.published(0)
	body := fmt.Sprintf(`{"events": [
		{"mailing": "m1", "token": "anna-1", "type": "delivered"},
		{"mailing": "m1", "token": "anna-1", "type": "opened", "at": %q},
		{"mailing": "m1", "token": "anna-1", "customer": "anna", "type": "opened"},
		{"mailing": "m1", "fid": "somebody-else", "type": "opened"}]}`, at.Format(time.RFC3339))
	for i, want := range []push.ReportResult{{Counted: 2, Repeated: 1, Unknown: 1}, {Repeated: 3, Unknown: 1}} {
		got := testcloud.Decode[push.ReportResult](w.Ask("POST", "/v1/events", body), http.StatusAccepted)
		if got != want {
			t.Errorf("request %d was answered %+v, want %+v", i, got, want)
		}
	}

	events := w.published(1)
	e := events[0]
	check.Equal(t, e.Type, push.MessageOpened, "type of the event")
	check.Equal(t, e.Data.Customer, "anna", "customer of the event")
	check.NotContains(t, e.raw, "anna-1", "the event")
	sent := w.sent("anna", "")
	if n := len(sent.Messages); n != 1 {
		t.Fatalf("anna was sent %d messages, want 1", n)
	}
	want := []recipientBody{{ID: push.TokenID("anna-1"), Kind: push.KindToken, Platform: push.Android, App: "shop", Result: "accepted", Opened: &at}}
	if d := cmp.Diff(want, sent.Messages[0].Tokens); d != "" {
		t.Errorf("what was sent to anna (-want +got):\n%s", d)
	}
}

// TestFaultsOfEventsAreNamed by their index, and a request with one counts nothing.
func TestFaultsOfEventsAreNamed(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.send("m1", []push.Target{w.device("anna", "anna-1")})
	good := `{"mailing": "m1", "token": "anna-1", "type": "opened"}`
	for name, c := range map[string]struct {
		events string
		at     []string // of the faults
	}{
		"none":             {``, []string{"body.events"}},
		"too many":         {strings.Repeat(good+",", push.MaxReports) + good, []string{"body.events"}},
		"no subject":       {good + `,{"token": "t", "type": "opened"}`, []string{"body.events[1]"}},
		"two subjects":     {`{"mailing": "m1", "message": "s1", "token": "t", "type": "opened"}`, []string{"body.events[0]"}},
		"no token":         {`{"mailing": "m1", "type": "opened"}`, []string{"body.events[0]"}},
		"token and fid":    {`{"mailing": "m1", "token": "t", "fid": "f", "type": "opened"}`, []string{"body.events[0]"}},
		"an unknown type":  {good + "," + good + `,{"mailing": "m1", "token": "t", "type": "seen"}`, []string{"body.events[2].type"}},
		"no type":          {`{"mailing": "m1", "token": "t"}`, []string{"body.events[0].type"}},
		"no time":          {`{"mailing": "m1", "token": "t", "type": "opened", "at": "yesterday"}`, []string{"body.events[0].at"}},
		"a long token":     {`{"mailing": "m1", "token": "` + strings.Repeat("t", push.MaxToken+1) + `", "type": "opened"}`, []string{"body.events[0].token"}},
		"a wrong customer": {`{"mailing": "m1", "token": "t", "type": "opened", "customer": "a\u0007"}`, []string{"body.events[0].customer"}},
		"several":          {`{"token": "t", "type": "opened"},{"mailing": "m1", "type": "opened"}`, []string{"body.events[0]", "body.events[1]"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.Ask("POST", "/v1/events", `{"events": [`+c.events+`]}`)
			if a.Code != http.StatusUnprocessableEntity {
				t.Errorf("%s: answered %v, want 422", name, a)
				return
			}
			for _, at := range c.at {
				if !strings.Contains(a.Body, `"location":"`+at) {
					t.Errorf("%s: no fault at %s: %s", name, at, a.Body)
				}
			}
		})
	}
	if n := w.Count("reports"); n != 0 {
		t.Errorf("%d reports are stored, want none", n)
	}
}
