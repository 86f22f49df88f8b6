package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// begin starts a mailing with one shard and returns that.
func (w *harness) begin(t *testing.T, id string) *push.Shard {
	t.Helper()
	if _, err := w.StartMailing(t.Context(), id, push.AllDevices, nil, []push.Shard{{Mailing: id}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.ReadShard(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	return sh
}

func batch(m string, n int, targets ...string) *push.Batch {
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: m, Batch: fmt.Sprintf("00-%06d", n)}, CreatedAt: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	for _, x := range targets {
		b.Targets = append(b.Targets, push.Target{Customer: "c-" + x, Token: x, Kind: push.KindToken})
	}
	b.Results = make([]push.Result, len(targets))
	return b
}

// TestOutboxIsAllOrNothing: of two calls that create the batches of the same page one
// succeeds, and the other stores nothing.
func TestOutboxIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	w.begin(t, "m")
	first, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	late := *first
	first.After, first.Batches, first.Targeted = "k", 1, 2
	if err := w.CreateBatches(t.Context(), first, []*push.Batch{batch("m", 0, "a", "b")}); err != nil {
		t.Fatal(err)
	}
	late.After, late.Batches = "z", 1
	if err := w.CreateBatches(t.Context(), &late, []*push.Batch{batch("m", 9, "x")}); !store.IsRevisionConflict(err) {
		t.Fatalf("batches created twice from the same place: %v, want a conflict", err)
	}
	if _, err := w.ReadBatch(t.Context(), push.BatchRef{Mailing: "m", Batch: "00-000009"}); !push.IsNotFound(err) {
		t.Errorf("the call with the conflict left a batch: %v", err)
	}
	got, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatalf("the cursor: %v", err)
	}
	check.Equal(t, got.After, "k", "the cursor: got.After")
	check.Equal(t, got.Targeted, 2, "the cursor: got.Targeted")
	first.Done = true // its revision goes on
	if err := w.CreateBatches(t.Context(), first, nil); err != nil {
		t.Errorf("the winner cannot go on: %v", err)
	}
}

// TestLeaseFencesSaves: after another call has leased a batch, the first one cannot
// store anything.
func TestLeaseFencesSaves(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	sh := w.begin(t, "m")
	ref := push.BatchRef{Mailing: "m", Batch: "00-000000"}
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{batch("m", 0, "a", "b")}); err != nil {
		t.Fatal(err)
	}
	one, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	two, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	until := w.clock.Now().Add(time.Minute)
	if err := w.LeaseBatch(t.Context(), one, push.Lease{Owner: "one", Until: until}); err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(t.Context(), two, push.Lease{Owner: "two", Until: until}); !store.IsRevisionConflict(err) {
		t.Fatalf("a second lease: %v, want stale", err)
	}
	if two, err = w.ReadBatch(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(t.Context(), two, push.Lease{Owner: "two", Until: until}); err != nil {
		t.Fatal(err)
	}
	one.Results[0] = push.ResultAccepted
	if err := w.SaveBatch(t.Context(), one); !store.IsRevisionConflict(err) {
		t.Errorf("a save under a lost lease: %v, want stale", err)
	}
	two.Results[1], two.OwedFlags = push.ResultUnregistered, []int{1}
	two.InvalidTokens = []push.InvalidToken{{Customer: "c-b", TokenID: push.TokenID("b"), Code: push.CodeUnregistered, At: w.clock.Now()}}
	if err := w.SaveBatch(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	got, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(two, got); diff != "" {
		t.Errorf("saved and read (-want +got):\n%s", diff)
	}
}

// TestNoBatchAfterTheTotalsAreFrozen: a call of dispatch that does not know yet that
// its mailing was cancelled creates no batch that the frozen totals do not have.
func TestNoBatchAfterTheTotalsAreFrozen(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	sh := w.begin(t, "m")
	if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	m, err := w.FreezeMailing(t.Context(), "m")
	if err != nil {
		t.Fatalf("freezing after the batch is closed: %v", err)
	}
	if m == nil {
		t.Fatal("freezing after the batch is closed: m is nil, want a value")
	}
	if m.Totals == nil {
		t.Fatal("freezing after the batch is closed: m.Totals is nil, want a value")
	}
	sh.Targeted = 1
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{batch("m", 0, "a")}); !store.IsRevisionConflict(err) {
		t.Errorf("creating batches after the end: %v", err)
	}
}
