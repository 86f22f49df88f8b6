package customers

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

var examples = regexp.MustCompile("(?s)```json\n(.*?)```")

// TestDocumentedEvents holds the examples of docs/events.md to what comes out
// of the topic.
func TestDocumentedEvents(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, m := range examples.FindAllSubmatch(page, -1) {
		var e event
		var b bytes.Buffer
		if err := json.Unmarshal(m[1], &e); err != nil {
			t.Fatalf("an example is no JSON: %v", err)
		}
		if err := json.Compact(&b, m[1]); err != nil {
			t.Fatal(err)
		}
		want[e.Type] = b.String()
	}
	w := newHarness(t)
	at := time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)
	invalid := push.Token{ID: push.TokenID("token"), Platform: push.Android, App: "shop", Invalid: &push.TokenFlag{Code: push.CodeUnregistered, Status: "NOT_FOUND", At: at, Mailing: "m-7f3a"}}
	c := &push.Customer{ID: "anna", Version: 1795512600000002, Availability: 1795512600000002, Tokens: []push.Token{invalid},
		Reported: push.Availability{State: push.StateUnreachable, Since: at, Evidence: push.CodeUnregistered}}
	totals := push.NewTotals(push.AudienceCounts{Targeted: 8, Excluded: push.Excluded{NoValidToken: 1, OptedOut: 1}}, 12,
		push.Tally{push.ResultAccepted: 9, push.ResultUnregistered: 2, push.ResultInvalidArgument: 1}, nil)
	totals.Customers.Estimated, totals.MissingAttribute = 10, 3
	totals.Platforms = map[string]push.TokenTotals{
		"android": push.NewTokenTotals(8, push.Tally{push.ResultAccepted: 6, push.ResultUnregistered: 1, push.ResultInvalidArgument: 1}),
		"ios":     push.NewTokenTotals(4, push.Tally{push.ResultAccepted: 3, push.ResultUnregistered: 1}),
		"web":     push.NewTokenTotals(0, push.Tally{}), "unknown": push.NewTokenTotals(0, push.Tally{}),
	}
	totals.Apps = map[string]push.TokenTotals{"shop": totals.Tokens}
	m := &push.Mailing{ID: "m-7f3a", Draft: push.Draft{Name: "Spring sale, Riga", Tags: []string{"spring"}}, CreatedBy: "crm@shop.example",
		Title: "Spring sale", State: push.Completed, CreatedAt: at.Add(-time.Hour), StartedAt: at.Add(-time.Hour), CompletedAt: at, ExpiresAt: at.Add(23 * time.Hour),
		Estimated: 10, Totals: &totals}
	started, paused := *m, *m
	started.State, started.CompletedAt = push.Sending, time.Time{}
	paused.State, paused.CompletedAt, paused.PausedReason, paused.PausedDetail = push.Paused, time.Time{}, push.PausedAudience, "the audience has about 10 customers, and maxCustomers is 5; resume the mailing to send it to all of them"
	opened := push.OpenedData{Mailing: "m-7f3a", Name: m.Name, Tags: m.Tags, Variant: "a", Customer: "anna", TokenID: push.TokenID("token"), Platform: push.Android, App: "shop", At: at}
	if err := w.queue.PublishEvents(t.Context(), push.AvailabilityEvent(c, at), push.InvalidatedEvent(c, invalid),
		push.SupersededEvent(c, invalid, push.TokenID("installation"), at),
		push.ErasedEvent(c, at), push.OpenedEvent("m-7f3a", opened), push.StartedEvent(&started), push.PausedEvent(&paused, at), push.CompletedEvent(m)); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range w.published(8) {
		got[e.Type] = e.raw
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/events.md differs from what is published (-page +topic):\n%s", diff)
	}
	for kind := range got {
		if !strings.Contains(string(page), "## `"+kind+"`") {
			t.Errorf("docs/events.md has no section on %s", kind)
		}
	}
}
