package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

// A start and a pause are events that are stored with the change, once each.
func TestStartAndPauseAreEvents(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	m := w.mailing(t, "m", push.Audience{Everyone: true})
	if _, err := w.StartMailing(t.Context(), m.ID, push.AllDevices, nil, []push.Shard{{Mailing: m.ID, Estimated: 7}}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second pause changes nothing
		if _, err := w.PauseMailingFor(t.Context(), m.ID, push.PausedImplausible, "9 of 10"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.ResumeMailing(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Minute)
	if _, err := w.PauseMailing(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Minute)

	events, err := w.ListUnpublishedEvents(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	got, ids := map[string]int{}, map[string]bool{}
	for _, e := range events {
		got[e.Type]++
		ids[e.ID] = true
	}
	if diff := cmp.Diff(map[string]int{push.MailingStarted: 1, push.MailingPaused: 2}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(ids) != len(events) {
		t.Errorf("%d events have %d ids, want as many", len(events), len(ids))
	}
}
