package tick

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// waitingBatches starts a mailing with hours and creates batches of n targets each that
// wait, each until its time from now.
func (w *harness) waitingBatches(t *testing.T, id string, n int, until ...time.Duration) (refs []push.BatchRef) {
	t.Helper()
	hours := &push.Window{From: "09:00", To: "18:00"}
	if _, err := w.StartMailing(t.Context(), id, push.AllDevices, hours, []push.Shard{{Mailing: id}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.ReadShard(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	var batches []*push.Batch
	for i, d := range until {
		b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: fmt.Sprintf("00-%06d", i)}, CreatedAt: w.clock.Now(), Lane: push.LaneLarge,
			Zone: "UTC", WaitUntil: w.clock.Now().Add(d), First: "a", Last: "z", Results: make([]push.Result, n)}
		for k := range n {
			b.Targets = append(b.Targets, push.Target{Customer: fmt.Sprint("c", k), Token: fmt.Sprintf("t%d-%d", i, k)})
		}
		batches, refs = append(batches, b), append(refs, b.BatchRef)
	}
	sh.Done, sh.Batches, sh.Targeted = true, len(batches), int64(n*len(batches))
	if err := w.CreateBatches(t.Context(), sh, batches); err != nil {
		t.Fatal(err)
	}
	return refs
}

// Batches are published when their hours begin, neither earlier nor at the next round.
func TestBatchesArePublishedWhenTheirHoursBegin(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	began := w.clock.Now()
	refs := w.waitingBatches(t, "m", 1, 10*time.Minute, 20*time.Second, 74*time.Second, 2*time.Hour)

	w.call(t, "{}")
	if diff := cmp.Diff([]push.BatchRef{refs[1], refs[2]}, w.refs); diff != "" {
		t.Errorf("published in the first minute (-want +got):\n%s", diff)
	}
	for i, want := range []time.Duration{20 * time.Second, 74 * time.Second} {
		got := w.at[i].Sub(began)
		check.Between(t, got, want, want+time.Second, "the time after which %s was published", w.refs[i].Batch)
	}

	open, err := w.ListOpenBatches(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if len(open) != 2 {
		t.Errorf("%d batches are open, want the 2 whose hours have begun", len(open))
	}
	if m := w.state(t, "m"); m.State != push.Sending {
		t.Errorf("the mailing is %s while batches wait, want sending", m.State)
	}
}

// While batches wait, their mailing does not end, though no batch is open. When it is
// cancelled they are published, so that deliver settles them.
func TestWaitingBatchesOfAMailingThatEnds(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	refs := w.waitingBatches(t, "m", 1, time.Hour, 2*time.Hour)
	w.tick(t)
	w.clock.Add(time.Minute)
	if w.tick(t); w.state(t, "m").Totals != nil {
		t.Fatal("the mailing has ended while batches wait")
	}

	if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.tick(t)
	if len(w.refs) != len(refs) {
		t.Errorf("published %v after the mailing was cancelled, want both batches", w.refs)
	}
	for _, ref := range refs {
		w.settle(t, ref, push.ResultCancelled)
	}
	w.tick(t)
	m := w.state(t, "m")
	if m.Totals == nil {
		t.Fatal("Totals is nil, want it set")
	}
	check.Equal(t, m.Totals.Tokens.Cancelled, 2, "tokens cancelled")
}

// A paused mailing's batches wait on, and are published after it is resumed.
func TestWaitingBatchesOfAPausedMailing(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.waitingBatches(t, "m", 1, time.Minute)
	if _, err := w.PauseMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(5 * time.Minute)
	if w.tick(t); len(w.refs) > 0 {
		t.Errorf("published %v while the mailing is paused", w.refs)
	}
	if _, err := w.ResumeMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if w.tick(t); len(w.refs) != 1 {
		t.Errorf("published %v after the resume, want the batch", w.refs)
	}
}

// The slots of a mailing with a rate follow each other at the rate, from whichever round
// and call they come, and reach no further ahead than two minutes.
func TestSlotsOfBatchesThatWaited(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	rate := 600
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	until := make([]time.Duration, 60) // of 30 targets each: three seconds, together three minutes
	w.waitingBatches(t, "m", 30, until...)
	began := w.clock.Now()

	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			m, err := w.ReadMailingHeader(t.Context(), "m")
			if err == nil {
				err = w.t.assignSlots(t.Context(), m)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()

	open, err := w.ListOpenBatches(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if len(open) != 40 {
		t.Errorf("%d batches have slots, want the 40 of two minutes", len(open))
	}
	for i, b := range open {
		if got, want := b.NotBefore.Sub(began), time.Duration(i)*3*time.Second; got != want {
			t.Errorf("the slot of batch %s begins after %s, want %s", b.Batch, got, want)
		}
	}

	w.clock.Add(90 * time.Second)
	w.tick(t)
	if open, err = w.ListOpenBatches(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if len(open) != 60 {
		t.Fatalf("%d batches have slots a minute and a half later, want all 60", len(open))
	}
	if got, want := open[59].NotBefore.Sub(began), 59*3*time.Second; got != want {
		t.Errorf("the last slot begins after %s, want %s", got, want)
	}
}

// Not more batches are opened at a time than can be sent soon.
func TestOpensNoMoreThanCanBeSent(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.waitingBatches(t, "m", 1, make([]time.Duration, 300)...)
	w.t.maxOpenBatches = 200
	w.tick(t)
	if len(w.refs) != 200 {
		t.Errorf("published %d batches, want the 200 that may be open", len(w.refs))
	}
	for _, ref := range w.refs[:150] {
		w.settle(t, ref, push.ResultAccepted)
	}
	w.clock.Add(time.Minute)
	w.tick(t)
	if len(w.refs) != 100 {
		t.Errorf("published %d batches after 150 were settled, want the other 100", len(w.refs))
	}
}
