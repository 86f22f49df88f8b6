package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestOnlyOneCallMarksAsPublished: of the calls that have listed a batch, a shard or a
// mailing one publishes a message for it, and none after a call has leased it.
func TestOnlyOneCallMarksAsPublished(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	m := due(t, w)
	at := w.clock.Now()
	once := func(what string, mark func() (bool, error)) {
		t.Helper()
		for i, want := range []bool{true, false} {
			got, err := mark()
			if err != nil {
				t.Fatalf("marking %s, time %d: %v", what, i+1, err)
			}
			check.Equal(t, got, want, "whether %s is recorded as published, time %d", what, i+1)
		}
	}
	once("the start", func() (bool, error) { return w.MarkStartPublished(t.Context(), m, at) })
	if got := due(t, w).PublishedAt; !got.Equal(at) {
		t.Errorf("the start was asked for at %s, want %s", got, at)
	}

	if _, err := w.StartMailing(t.Context(), "m", push.AllDevices, nil, []push.Shard{{Mailing: "m", PublishedAt: at}}); err != nil {
		t.Fatal(err)
	}
	shard := func() store.OpenShard {
		t.Helper()
		open, err := w.ListOpenShards(t.Context(), "m")
		if err != nil {
			t.Fatalf("w.ListOpenShards: %v", err)
		}
		check.MustEqual(t, len(open), 1, "number of entries in open")
		return open[0]
	}
	listed := shard()
	once("a shard", func() (bool, error) { return w.MarkShardPublished(t.Context(), "m", listed, at.Add(time.Second)) })
	sh, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseShard(t.Context(), sh, at.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if !shard().PublishedAt.IsZero() {
		t.Error("a shard that a call has taken is still asked for")
	}

	b := &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: "b"}, CreatedAt: at, PublishedAt: at, Lane: push.LaneSmall,
		Targets: []push.Target{{Customer: "a", Token: "t"}}, Results: make([]push.Result, 1)}
	sh.Batches = 1
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	open, err := w.ListOpenBatches(t.Context(), "m")
	if err != nil {
		t.Fatalf("w.ListOpenBatches: %v", err)
	}
	if len(open) != 1 {
		t.Fatalf("%d entries, want %v: %+v", len(open), 1, open)
	}
	check.MustEqual(t, open[0].Lane, push.LaneSmall, "open[0].Lane")
	check.MustEqual(t, open[0].PublishedAt, at, "open[0].PublishedAt")
	once("a batch", func() (bool, error) { return w.MarkBatchPublished(t.Context(), open[0], at.Add(time.Second)) })
	if b, err = w.ReadBatch(t.Context(), b.BatchRef); err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(t.Context(), b, push.Lease{Owner: "x", Until: at.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	open, err = w.ListOpenBatches(t.Context(), "m")
	if err != nil {
		t.Fatalf("after the lease: %v", err)
	}
	check.Equal(t, open[0].PublishedAt.IsZero(), true, "after the lease: open[0].PublishedAt.IsZero()")
}

// TestBatchesThatArePublishedLatelyAreNotListed for tick, which would read most batches of a
// large mailing each minute.
func TestBatchesThatArePublishedLatelyAreNotListed(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.starts(t, "m")
	sh, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	by := w.clock.Now()
	var batches []*push.Batch
	for name, at := range map[string]time.Time{"unpublished": {}, "earlier": by.Add(-time.Second), "then": by, "later": by.Add(time.Second), "leased": by.Add(time.Second), "settled": {}} {
		batches = append(batches, &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: name}, CreatedAt: by, PublishedAt: at, Lane: push.LaneSmall,
			Targets: []push.Target{{Customer: "a", Token: "t"}}, Results: make([]push.Result, 1)})
	}
	sh.Batches = len(batches)
	if err := w.CreateBatches(t.Context(), sh, batches); err != nil {
		t.Fatal(err)
	}
	leased := w.batchOf(t, push.BatchRef{Mailing: "m", Batch: "leased"})
	if err := w.LeaseBatch(t.Context(), leased, push.Lease{Owner: "x", Until: by.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	settled := w.batchOf(t, push.BatchRef{Mailing: "m", Batch: "settled"})
	settled.Settled = true
	if err := w.SaveBatch(t.Context(), settled); err != nil {
		t.Fatal(err)
	}

	list, err := w.ListBatchesPublishedBy(t.Context(), "m", by)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range list {
		got = append(got, b.Batch)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"earlier", "leased", "then", "unpublished"}, got); diff != "" {
		t.Errorf("the batches (-want +got):\n%s", diff)
	}
}
