package dispatch

import (
	"slices"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestAResumedMailingGoesOnAtOnce: its batches were acknowledged while it was
// paused. Those that are due and that nobody has are published in the same call,
// the others are tick's; its shards are asked for.
func TestAResumedMailingGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.mailing(t, "m", nil)
	if _, err := w.StartMailing(t.Context(), "m", push.AllDevices, nil, []push.Shard{{Mailing: "m"}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	now := w.clock.Now()
	var batches []*push.Batch
	for _, id := range []string{"due", "small", "later", "leased"} {
		batches = append(batches, &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: id}, CreatedAt: now, PublishedAt: now, Lane: push.LaneLarge,
			Targets: []push.Target{{Customer: "a", Token: id}}, Results: make([]push.Result, 1)})
	}
	batches[1].Lane = push.LaneSmall
	batches[2].NotBefore, batches[2].PublishedAt = now.Add(time.Minute), time.Time{}
	if err := w.CreateBatches(t.Context(), sh, batches); err != nil {
		t.Fatal(err)
	}
	leased, err := w.ReadBatch(t.Context(), batches[3].BatchRef)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(t.Context(), leased, push.Lease{Owner: "x", Until: now.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PauseMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(10 * time.Second)
	if _, err := w.ResumeMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}

	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart}); err != nil {
		t.Fatal(err)
	}
	got := map[string]push.Lane{}
	for i, ref := range w.refs {
		got[ref.Batch] = w.lanes[i]
	}
	check.Equal(t, len(w.refs), 2, "number of published batches")
	check.Equal(t, got["due"], push.LaneLarge, "lane of the batch due")
	check.Equal(t, got["small"], push.LaneSmall, "lane of the batch small")
	if !slices.Equal(w.wakes, []string{"m"}) {
		t.Errorf("tick was asked to look at %v, want m", w.wakes)
	}
	if want := []push.DispatchMessage{{Mailing: "m", Shard: 0}}; !slices.Equal(w.messages, want) {
		t.Errorf("published %v, want %v", w.messages, want)
	}
	open, err := w.ListOpenBatches(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range open {
		if b.Batch == "due" && !b.PublishedAt.Equal(w.clock.Now()) {
			t.Errorf("the batch counts as published at %s: tick would publish it again", b.PublishedAt)
		}
	}
}
