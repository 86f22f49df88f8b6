package dispatch

import (
	"context"
	"errors"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// start records the mailing's shards and forgets the orders that follow.
func (w *world) start(t *testing.T, id string) {
	t.Helper()
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: id, Shard: push.DispatchStart}); err != nil {
		t.Fatal(err)
	}
	w.orders = nil
}

// cut carries out one order to cut the mailing's first shard, and answers the
// orders that follow.
func (w *world) cut(t *testing.T, id string) []push.DispatchMessage {
	t.Helper()
	w.orders = nil
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: id}); err != nil {
		t.Fatal(err)
	}
	return w.orders
}

// TestAShardIsOneCalls: a second order for a shard that is being cut does
// nothing, until the first call must have ended.
func TestAShardIsOneCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tokens := w.seed(t, 3)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	sh, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseShard(t.Context(), sh, w.clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if orders := w.cut(t, "m"); len(orders) > 0 || len(w.targets(t, "m")) > 0 {
		t.Errorf("it was cut by a second call as well; orders %v", orders)
	}
	w.clock.Add(2 * time.Minute)
	w.cut(t, "m")
	w.checkOnce(t, "m", tokens)
}

// TestAHeldMailingIsNotCut, not even by an order that was on its way.
func TestAHeldMailingIsNotCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.seed(t, 3)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	if _, err := w.PauseMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if orders := w.cut(t, "m"); len(orders) > 0 || len(w.targets(t, "m")) > 0 {
		t.Errorf("it was cut; orders %v", orders)
	}
}

// slow is a clock that moves by ten seconds with each page.
type slow struct {
	dataStore
	w *world
}

func (s slow) CreateBatches(ctx context.Context, sh *push.Shard, batches []*push.Batch) error {
	s.w.clock.Add(10 * time.Second)
	return s.dataStore.CreateBatches(ctx, sh, batches)
}

// TestHandsOverInTime: a call that has more to cut than its time allows ends
// before that, and a fresh order goes on.
func TestHandsOverInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.d.CallTimeout = 30 * time.Second
	w.d.Store = slow{w.d.Store, w}
	w.seed(t, 3*pageSize+10)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	began := w.clock.Now()
	orders := w.cut(t, "m")
	if took := w.clock.Now().Sub(began); len(orders) != 1 || took > w.d.CallTimeout {
		t.Errorf("after %s it ordered %v", took, orders)
	}
	for calls := 0; len(orders) > 0; calls++ {
		if calls > 3 {
			t.Fatal("it does not come to an end")
		}
		orders = w.cut(t, "m")
	}
	if m, err := w.ReadMailingHeader(t.Context(), "m"); err != nil || !m.Dispatched {
		t.Errorf("dispatched %v, %v", m.Dispatched, err)
	}
}

// TestGivesItsPlaceBack: with as much cut as goes out in two minutes the call
// stores when to go on and ends. An order that comes before that does nothing.
func TestGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.d.QuotaPerMinute = 1 // any batch is more
	w.people(t, pageSize+10, func(int) int { return 1 })
	w.mailing(t, "m", nil)
	w.start(t, "m")
	began := w.clock.Now()
	if orders := w.cut(t, "m"); len(orders) != 0 {
		t.Errorf("it ordered %v", orders)
	}
	if n := len(w.targets(t, "m")); n != pageSize {
		t.Errorf("%d were cut, want %d", n, pageSize)
	}
	sh, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := began.Add(minRoomWait); !sh.ContinueAt.Equal(want) {
		t.Errorf("it goes on at %s, want %s", sh.ContinueAt, want)
	}
	if !sh.LeaseUntil.IsZero() {
		t.Errorf("it keeps its shard until %s", sh.LeaseUntil)
	}

	w.cut(t, "m")
	if after, err := w.ReadShard(t.Context(), "m", 0); err != nil || !after.Revision.Equal(sh.Revision) {
		t.Errorf("an early order wrote to the shard (%v)", err)
	}
	w.clock.Add(minRoomWait)
	w.cut(t, "m")
	if n := len(w.targets(t, "m")); n != pageSize {
		t.Errorf("nothing was sent, and %d are cut", n)
	}
	w.settleAll(t, "m")
	w.clock.Add(minRoomWait)
	w.cut(t, "m")
	if n := len(w.targets(t, "m")); n != 10 {
		t.Errorf("there is room again, and %d are cut, want the 10 that are left", n)
	}
}

// settleAll is a deliver that has sent everything that is cut.
func (w *world) settleAll(t *testing.T, id string) {
	t.Helper()
	open, err := w.ListOpenBatches(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range open {
		b, err := w.ReadBatch(t.Context(), o.BatchRef)
		if err != nil {
			t.Fatal(err)
		}
		b.ClosePending(push.ResultAccepted)
		b.Settled = true
		if err := w.SaveBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// uncounted cannot count open batches.
type uncounted struct{ dataStore }

func (uncounted) CountOpenTargets(context.Context, string) (int, error) {
	return 0, &push.Unavailable{Err: errors.New("no Firestore")}
}

// TestACallThatFailsGivesItsShardBack: the redelivery goes on at once.
func TestACallThatFailsGivesItsShardBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tokens := w.seed(t, 30)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	good := w.d.Store
	w.d.Store = uncounted{good}
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m"}); err == nil {
		t.Fatal("open batches could not be counted, and nobody is told")
	}
	w.d.Store = good
	w.cut(t, "m")
	w.checkOnce(t, "m", tokens)
}
