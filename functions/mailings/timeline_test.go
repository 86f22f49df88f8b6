package mailings_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

// TestTimeline checks the points and the pauses of a mailing whose batches end at different
// times, of which one is open, one was closed without being decoded, and one is of a version
// that did not record when it ended.
func TestTimeline(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	m := w.hand(plain)
	if _, err := w.store.StartMailing(t.Context(), m.ID, push.AllDevices, nil, []push.Shard{{Mailing: m.ID}}); err != nil {
		t.Fatalf("starting the mailing: %v", err)
	}
	shard, err := w.store.ReadShard(t.Context(), m.ID, 0)
	if err != nil {
		t.Fatalf("reading the shard: %v", err)
	}
	began := w.clock.Now().UTC().Truncate(time.Second)

	const batches = 5
	for n := range batches {
		b := &push.Batch{BatchRef: push.BatchRef{Mailing: m.ID, Batch: fmt.Sprintf("00-%06d", n)}, CreatedAt: w.clock.Now(),
			Targets: []push.Target{{Customer: "a", Token: "a"}, {Customer: "b", Token: "b"}}, Results: make([]push.Result, 2)}
		if err := w.store.CreateBatches(t.Context(), shard, []*push.Batch{b}); err != nil {
			t.Fatalf("storing batch %d: %v", n, err)
		}
	}
	for n := range batches - 1 { // the last one stays open
		b, err := w.store.ReadBatch(t.Context(), push.BatchRef{Mailing: m.ID, Batch: fmt.Sprintf("00-%06d", n)})
		if err != nil {
			t.Fatalf("reading batch %d: %v", n, err)
		}
		b.Results, b.Limited, b.Settled = []push.Result{push.ResultAccepted, push.ResultUnregistered}, n, true
		if err := w.store.SaveBatch(t.Context(), b); err != nil {
			t.Fatalf("saving batch %d: %v", n, err)
		}
		w.clock.Add(time.Minute)
	}
	if _, err := w.DB().Doc("mailings/"+m.ID+"/batches/00-000003").Set(t.Context(), map[string]any{"tally": "none"}); err != nil {
		t.Fatalf("damaging a batch: %v", err)
	}
	w.Ask("POST", "/v1/mailings/"+m.ID+"/pause", "")
	w.clock.Add(time.Minute)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/resume", "")
	w.clock.Add(time.Minute)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/pause", "")

	got := testcloud.Decode[push.Timeline](w.Ask("GET", "/v1/mailings/"+m.ID+"/timeline", ""), http.StatusOK)
	after := func(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }
	resumed := after(5)
	want := push.Timeline{
		StepSeconds: 1,
		Points:      []push.TimelinePoint{{At: after(0), Answered: 2, Accepted: 1}, {At: after(1), Answered: 2, Accepted: 1, Limited: 1}, {At: after(2), Answered: 2, Accepted: 1, Limited: 2}},
		Pauses:      []push.Pause{{From: after(4), To: &resumed, Reason: push.PausedByHand}, {From: after(6), Reason: push.PausedByHand}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the timeline differs (-want +got):\n%s", diff)
	}

	fresh := w.hand(plain, "Idempotency-Key", "another")
	got = testcloud.Decode[push.Timeline](w.Ask("GET", "/v1/mailings/"+fresh.ID+"/timeline", ""), http.StatusOK)
	if diff := cmp.Diff(push.Timeline{Points: []push.TimelinePoint{}, Pauses: []push.Pause{}}, got); diff != "" {
		t.Errorf("the timeline of a mailing that has not started differs (-want +got):\n%s", diff)
	}
	if answer := w.Ask("GET", "/v1/mailings/unknown/timeline", ""); answer.Code != http.StatusNotFound {
		t.Errorf("the timeline of an unknown mailing: %s, want 404", answer)
	}
}
