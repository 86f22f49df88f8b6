package tick

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// slots creates batches of a mailing, each not before its time from now.
func (w *harness) slots(t *testing.T, id string, from ...time.Duration) []push.BatchRef {
	t.Helper()
	if _, err := w.StartMailing(t.Context(), id, push.AllDevices, nil, []push.Shard{{Mailing: id}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.ReadShard(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	var refs []push.BatchRef
	var batches []*push.Batch
	for i, d := range from {
		b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: fmt.Sprintf("00-%06d", i)}, CreatedAt: w.clock.Now(), Lane: push.LaneSmall,
			NotBefore: w.clock.Now().Add(d), Targets: []push.Target{{Customer: "a", Token: "ta"}}, Results: make([]push.Result, 1)}
		batches, refs = append(batches, b), append(refs, b.BatchRef)
	}
	sh.Done, sh.Batches = true, len(batches)
	if err := w.CreateBatches(t.Context(), sh, batches); err != nil {
		t.Fatal(err)
	}
	return refs
}

// TestPublishesEachAtItsTime: a call publishes what becomes due before the next
// round, and no longer.
func TestPublishesEachAtItsTime(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	times := []time.Duration{0, 700 * time.Millisecond, 20 * time.Second, 74 * time.Second, 80 * time.Second}
	refs := w.slots(t, "m", times...)
	began := w.clock.Now()
	w.call(t, `{"clock":"each minute"}`)
	if len(w.refs) != 4 {
		t.Fatalf("published %v, want the four of the coming 75 s", w.refs)
	}
	for i, ref := range w.refs {
		if ref != refs[i] {
			t.Errorf("batch %d was %s, want %s", i, ref.Batch, refs[i].Batch)
		}
		if at := w.at[i].Sub(began); at != times[i] {
			t.Errorf("batch %d was published after %s, want %s", i, at, times[i])
		}
		if w.lanes[i] != push.LaneSmall {
			t.Errorf("batch %d went to the lane %q", i, w.lanes[i])
		}
	}
	if stayed := w.clock.Now().Sub(began); stayed != 74*time.Second {
		t.Errorf("the call stayed for %s, want until its last batch", stayed)
	}
	w.call(t, `{}`)
	if len(w.refs) != 1 {
		t.Fatalf("number of published batches is %v, want 1: %+v", len(w.refs), w.refs)
	}
	check.Equal(t, w.refs[0], refs[4], "first published batch")
}

// TestAnIdleCallEndsAtOnce: staying costs an instance's time.
func TestAnIdleCallEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	began := w.clock.Now()
	w.call(t, `{}`)
	if stayed := w.clock.Now().Sub(began); stayed != 0 {
		t.Errorf("with nothing to do it stayed for %s", stayed)
	}
}

// TestStartsAtTheTime: a mailing that is scheduled within the minute starts at its
// time, and so one with a lifetime of a minute does, however late the next round.
func TestStartsAtTheTime(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	at, life := w.clock.Now().Add(30*time.Second), push.Duration(time.Minute)
	w.mailing(t, "m", func(d *push.Draft) { d.SendAt, d.Lifetime = &at, &life })
	w.call(t, `{}`)
	if len(w.dispatchMessages) != 1 {
		t.Fatalf("number of dispatch messages is %v, want 1: %+v", len(w.dispatchMessages), w.dispatchMessages)
	}
	if w.dispatchMessages[0] != (push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart}) {
		t.Fatalf("the dispatch message is %v, want %v", w.dispatchMessages[0], push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
	}
	if now := w.clock.Now(); !now.Equal(at) {
		t.Errorf("published at %s, want %s", now, at)
	}
}

// TestWakesForOneMailing: dispatch's message names the mailing for which it has created batches.
func TestWakesForOneMailing(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.mailing(t, "other", nil)
	refs := w.slots(t, "m", 3*time.Second)
	w.slots(t, "other", 3*time.Second)
	w.call(t, `{"mailing":"m"}`)
	if len(w.refs) != 1 {
		t.Fatalf("number of published batches is %v, want 1: %+v", len(w.refs), w.refs)
	}
	check.Equal(t, w.refs[0], refs[0], "first published batch")
}

// TestLeavesItemsToACallThatStays: of the calls of one instance one stays.
func TestLeavesItemsToACallThatStays(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.mailing(t, "late", nil)
	w.slots(t, "m", 10*time.Second)
	var late []push.BatchRef
	naps, inner := 0, time.Duration(0)
	w.t.Sleep = func(ctx context.Context, d time.Duration) error {
		if naps++; naps == 2 {
			late = w.slots(t, "late", 5*time.Second, 3*time.Minute)
			began := w.clock.Now()
			w.t.receiveFromPubSub(ctx, message("late"))
			inner = w.clock.Now().Sub(began)
		}
		return w.clock.Sleep(ctx, d)
	}
	w.call(t, `{}`)
	if inner != 0 {
		t.Errorf("the second call stayed for %s beside the first", inner)
	}
	if len(w.refs) != 2 {
		t.Fatalf("number of published batches is %v, want 2: %+v", len(w.refs), w.refs)
	}
	check.Equal(t, w.refs[0], late[0], "first published batch")
}

// TestTwoTicksPublishOnce: two instances see the same batches, shards and
// mailings, and each is published once.
func TestTwoTicksPublishOnce(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	at := w.clock.Now().Add(5 * time.Second)
	w.mailing(t, "m", nil)
	w.slots(t, "m", 0, time.Second, 2*time.Second)
	w.mailing(t, "n", nil)
	w.createBatch(t, "n", false)
	w.mailing(t, "later", func(d *push.Draft) { d.SendAt = &at })
	other := newTicker(w.t.Deps)
	until := w.t.publishUntilTime(w.clock.Now())
	var a, b roundCounts
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.t.runRound(t.Context(), until, &a) })
	wg.Go(func() { _ = other.runRound(t.Context(), until, &b) })
	wg.Wait()
	if len(w.dispatchMessages) != 1 {
		t.Errorf("published %v, want the shard of n once", w.dispatchMessages)
	}
	w.dispatchMessages = nil // it is asked for again when half a minute has passed without an answer

	w.clock.Add(10 * time.Second)
	w.t.publishUntil(t.Context(), until)
	other.publishUntil(t.Context(), until)
	if len(w.refs) != 3 {
		t.Errorf("published %v, want each of three batches once", w.refs)
	}
	starts := slices.DeleteFunc(slices.Clone(w.dispatchMessages), func(o push.DispatchMessage) bool { return o.Mailing != "later" })
	if len(starts) != 1 {
		t.Errorf("published %v, want the start of later once", w.dispatchMessages)
	}
}

// TestManyMailingsFitIntoAMinute: at 20 ms an RPC 2,000 mailings that are being
// sent are looked after in a minute. What is counted is what does not depend on
// the machine: the RPCs a mailing needs, and how many are under way at once.
func TestManyMailingsFitIntoAMinute(t *testing.T) {
	t.Parallel()
	const fixed = 7 // queries: five lists of mailings, tokens, the outbox
	var rpcs, under, most atomic.Int64
	var counting atomic.Bool
	full := make(chan struct{}) // closed once as many are under way as there should be
	var once sync.Once
	call := func() func() {
		if !counting.Load() {
			return func() {}
		}
		if rpcs.Add(1) <= fixed {
			return func() {}
		}
		n := under.Add(1)
		if n > most.Load() {
			most.Store(n)
		}
		if n >= mailingsAtOnce {
			once.Do(func() { close(full) })
		}
		select {
		case <-full:
		case <-time.After(10 * time.Second):
		}
		return func() { under.Add(-1) }
	}
	un := grpc.WithUnaryInterceptor(func(ctx context.Context, m string, req, rep any, cc *grpc.ClientConn, inv grpc.UnaryInvoker, o ...grpc.CallOption) error {
		defer call()()
		return inv(ctx, m, req, rep, cc, o...)
	})
	st := grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, m string, s grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
		defer call()()
		return s(ctx, d, cc, m, o...)
	})
	w := newHarnessOn(t, testcloud.New(t, un, st))
	const n = 64
	for i := range n {
		id := fmt.Sprintf("m%03d", i)
		w.mailing(t, id, nil)
		w.createBatch(t, id, i%2 == 0)
	}
	w.clock.Add(10 * time.Second) // nothing is due: this is what each minute costs
	counting.Store(true)
	w.tick(t)
	counting.Store(false)
	if most.Load() < mailingsAtOnce {
		t.Errorf("%d RPCs were under way at once, want %d", most.Load(), mailingsAtOnce)
	}
	each := float64(rpcs.Load()-fixed) / n
	if minute := time.Duration(2000 * each / mailingsAtOnce * float64(20*time.Millisecond)); minute > 20*time.Second {
		t.Errorf("%.1f RPCs a mailing, %d at once: 2,000 mailings take %s", each, mailingsAtOnce, minute)
	}
}
