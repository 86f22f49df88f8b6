package deliver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/lab"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

func TestWindowShrinksWithEachCrash(t *testing.T) {
	t.Parallel()
	last := maxUnsaved + 1
	for crashes := range 4 {
		got := windowAfter(crashes)
		if got >= last {
			t.Errorf("after %d crashes the window is %d, want less than %d", crashes, got, last)
		}
		last = got
	}
	if got := windowAfter(maxCrashes); got != 1 {
		t.Errorf("after %d crashes the window is %d, want 1", maxCrashes, got)
	}
}

// crashes is what a killed instance does, again and again: the store takes so
// many saves of each call, and then nothing any more.
func crashes(t *testing.T, w *world, ref push.Ref, saves int) {
	t.Helper()
	deps := w.deps
	deps.Store = &deaf{ledger: w.Store, saves: saves}
	_ = newDeliverer(deps).deliver(t.Context(), ref, "")

	// Pub/Sub delivers again while the lease is still there, and tick after it.
	data, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Add(11 * time.Second)
	if got := w.d.receive(t.Context(), queue.Message{Data: data, Attempt: 2}); got != queue.Ack {
		t.Fatalf("a redelivery beside a live lease was settled by %v, want %v", got, queue.Ack)
	}
	w.clock.Add(2 * time.Minute)
}

// TestABatchThatKillsItsInstanceIsStopped: whatever the calls of a batch have
// saved before they crash, no phone rings more than five times, and the batch
// ends.
func TestABatchThatKillsItsInstanceIsStopped(t *testing.T) {
	t.Parallel()
	for _, saves := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprint(saves, " saves"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, phones.Options{})
			journal := &lab.Journal{}
			w.deps.Log = journal.Logger()
			w.d = newDeliverer(w.deps)
			size := 60
			if saves == 0 {
				size = 300
			}
			ref := w.mailing("m", true, names("t", size)...)

			calls := 0
			for ; calls < 200; calls++ {
				b, err := w.Batch(t.Context(), ref)
				if err != nil {
					t.Fatal(err)
				}
				if b.Settled {
					break
				}
				if b.Crashed() >= maxCrashes && !b.Saved {
					w.deliver(ref) // claims nothing, so that there is nothing to crash
					continue
				}
				crashes(t, w, ref, saves)
			}

			b, err := w.Batch(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if !b.Settled {
				t.Fatalf("after %d calls the batch is not settled: %+v", calls, b)
			}
			for token, n := range w.rung("m") {
				if n > maxCrashes {
					t.Errorf("token %s: rung %d times, want at most %d", token, n, maxCrashes)
				}
			}
			m, _ := w.totals("m")
			if m.State != push.Completed {
				t.Errorf("mailing is %s, want %s", m.State, push.Completed)
			}
			if saves > 0 {
				return
			}
			if b.Attempts != maxCrashes {
				t.Errorf("claimed %d times, want %d", b.Attempts, maxCrashes)
			}
			if !strings.Contains(b.Reason, "crashed or ran out of memory") {
				t.Errorf("reason is %q, want one that an operator understands", b.Reason)
			}
			if got := strings.Count(journal.String(), `msg="batch given up"`); got != 1 {
				t.Errorf("%d lines of it, want 1: %s", got, journal)
			}
			_, totals := w.totals("m")
			if totals.Failed != int64(size) {
				t.Errorf("failed %d, want %d: %+v", totals.Failed, size, totals)
			}
		})
	}
}

// TestARungWindowIsBounded: each crash may ring a smaller window again.
func TestARungWindowIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 300)...)
	for crash := range maxCrashes {
		before := len(w.phones.Messages(phones.Filter{Mailing: "m"}))
		crashes(t, w, ref, 0)
		got := len(w.phones.Messages(phones.Filter{Mailing: "m"})) - before
		if want := windowAfter(crash); got > want {
			t.Errorf("call %d sent %d, want at most its window of %d", crash+1, got, want)
		}
	}
}

// TestAnInstanceWorksOnOneSuspectAtATime: a batch that kills its instance does
// not count as a crash of every batch that crashed beside it.
func TestAnInstanceWorksOnOneSuspectAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 3)...)
	for range suspectAfter {
		crashes(t, w, ref, 0)
	}

	w.d.quarantine <- struct{}{} // another suspect is at work
	w.deliver(ref)
	b, err := w.Batch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Attempts != suspectAfter {
		t.Errorf("claimed %d times, want %d: another suspect was at work", b.Attempts, suspectAfter)
	}

	<-w.d.quarantine
	w.deliver(ref)
	if m, totals := w.totals("m"); totals.Accepted != 3 {
		t.Errorf("alone it accepted %d, want 3: %s %+v", totals.Accepted, m.State, totals)
	}
	if len(w.d.quarantine) != 0 {
		t.Error("the place of the suspect is not free again")
	}
}

// TestACrashThatWasNoFaultOfTheBatchIsForgotten: a call that ends well begins
// the count anew, and the next window is whole.
func TestACrashThatWasNoFaultOfTheBatchIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	tokens := names("t", 3)
	ref := w.mailing("m", true, tokens...)
	crashes(t, w, ref, 0)
	if err := w.phones.SetOutcomes(phones.Outcome{Token: tokens[0], Outcome: "QUOTA_DEVICE", RetryAfter: time.Hour}); err != nil {
		t.Fatal(err)
	}
	w.deliver(ref)
	b, err := w.Batch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Crashed() != 0 {
		t.Errorf("crashes counted: %d, want 0 after a call that ended well", b.Crashed())
	}
	if b.Tries != 0 {
		t.Errorf("tries counted: %d, want 0 after a call that ended well", b.Tries)
	}
}

// flagCrash is a ledger of an instance that is killed when it flags.
type flagCrash struct {
	ledger
	mu   sync.Mutex
	dead bool
}

func (f *flagCrash) Lease(ctx context.Context, b *push.Batch, l push.Lease) error {
	if err := f.ledger.Lease(ctx, b, l); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = len(b.Owed) > 0
	return nil
}

func (f *flagCrash) SaveBatch(ctx context.Context, b *push.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errKilled
	}
	f.dead = len(b.Owed) > 0
	return f.ledger.SaveBatch(ctx, b)
}

// TestFlagsThatKillTheInstanceAreGivenUp: nothing is left to send, and the batch
// ends all the same.
func TestFlagsThatKillTheInstanceAreGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	w.phones.SetOutcome("gone-token", "UNREGISTERED")
	ref := w.mailing("m", true, "gone-token", "good-token")
	deps := w.deps
	deps.Store = &flagCrash{ledger: w.Store}
	d := newDeliverer(deps)
	for range maxCrashes + 2 {
		_ = d.deliver(t.Context(), ref, "")
		w.clock.Add(3 * time.Minute)
	}
	w.deliver(ref)

	m, totals := w.totals("m")
	if m.State != push.Completed {
		t.Errorf("mailing is %s, want %s", m.State, push.Completed)
	}
	if totals.Accepted != 1 {
		t.Errorf("accepted %d, want 1", totals.Accepted)
	}
	if n := w.rung("m")["good-token"]; n != 1 {
		t.Errorf("the good token was rung %d times, want 1", n)
	}
}
