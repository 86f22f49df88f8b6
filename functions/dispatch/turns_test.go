package dispatch

import (
	"errors"
	"testing"
	"time"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// start records the mailing's shards and forgets the orders that follow.
func (w *harness) start(t *testing.T, id string) {
	t.Helper()
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: id, Shard: push.DispatchStart}); err != nil {
		t.Fatal(err)
	}
	w.orders = nil
}

// cut carries out one order to cut the mailing's first shard, and answers the
// orders that follow.
func (w *harness) cut(t *testing.T, id string) []push.DispatchMessage {
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
	w := newHarness(t, nil)
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
	orders := w.cut(t, "m")
	if len(orders) > 0 {
		t.Errorf("number of orders is %v, want 0", len(orders))
	}
	if len(w.targets(t, "m")) > 0 {
		t.Errorf("number of targets is %v, want 0", len(w.targets(t, "m")))
	}
	w.clock.Add(2 * time.Minute)
	w.cut(t, "m")
	w.checkOnce(t, "m", tokens)
}

// TestAHeldMailingIsNotCut, not even by an order that was on its way.
func TestAHeldMailingIsNotCut(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seed(t, 3)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	if _, err := w.PauseMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	orders := w.cut(t, "m")
	if len(orders) > 0 {
		t.Errorf("number of orders is %v, want 0", len(orders))
	}
	if len(w.targets(t, "m")) > 0 {
		t.Errorf("number of targets is %v, want 0", len(w.targets(t, "m")))
	}
}

// eachPageTakes moves the clock before the batches of a page are created.
func (w *harness) eachPageTakes(d time.Duration) {
	w.failing.Before(storetest.Do(func() { w.clock.Add(d) }), storetest.CreateBatches)
}

// TestHandsOverInTime: a call that has more to cut than its time allows ends
// before that, and a fresh order goes on.
func TestHandsOverInTime(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.d.CallTimeout = 30 * time.Second
	w.eachPageTakes(10 * time.Second)
	w.seed(t, 3*pageSize+10)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	began := w.clock.Now()
	orders := w.cut(t, "m")
	took := w.clock.Now().Sub(began)
	check.Equal(t, len(orders), 1, "number of orders")
	if took > w.d.CallTimeout {
		t.Errorf("the time of the call is %v, want at most %v", took, w.d.CallTimeout)
	}
	for calls := 0; len(orders) > 0; calls++ {
		if calls > 3 {
			t.Fatal("it does not come to an end")
		}
		orders = w.cut(t, "m")
	}
	m, err := w.ReadMailingHeader(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, m.Dispatched, true, "Dispatched")
}

// TestGivesItsPlaceBack: with as much cut as goes out in two minutes the call
// stores when to go on and ends. An order that comes before that does nothing.
func TestGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
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
	after, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, after.Revision, sh.Revision, "revision of the shard after an early order")
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
func (w *harness) settleAll(t *testing.T, id string) {
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

// TestACallThatFailsGivesItsShardBack: the redelivery goes on at once.
func TestACallThatFailsGivesItsShardBack(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	tokens := w.seed(t, 30)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	good := w.d.Store
	w.d.Store = storetest.New(w.Store).Before(storetest.Fail(&push.Unavailable{Err: errors.New("no Firestore")}), storetest.CountOpenTargets)
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m"}); err == nil {
		t.Fatal("open batches could not be counted, and nobody is told")
	}
	w.d.Store = good
	w.cut(t, "m")
	w.checkOnce(t, "m", tokens)
}
