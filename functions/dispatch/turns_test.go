package dispatch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// start records the mailing's shards and forgets the orders that follow.
func (w *world) start(t *testing.T, id string) {
	t.Helper()
	if err := w.d.carryOut(t.Context(), push.DispatchOrder{Mailing: id, Shard: push.Start}); err != nil {
		t.Fatal(err)
	}
	w.orders = nil
}

// cut carries out one order to cut the mailing's first shard, and answers the
// orders that follow.
func (w *world) cut(t *testing.T, id string) []push.DispatchOrder {
	t.Helper()
	w.orders = nil
	if err := w.d.carryOut(t.Context(), push.DispatchOrder{Mailing: id}); err != nil {
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
	sh, err := w.Shard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Take(t.Context(), sh, w.clock.Now().Add(time.Minute)); err != nil {
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
	if _, err := w.Pause(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if orders := w.cut(t, "m"); len(orders) > 0 || len(w.targets(t, "m")) > 0 {
		t.Errorf("it was cut; orders %v", orders)
	}
}

// TestHandsOverInTime: a call that has more to cut than its time allows ends
// before that, and a fresh order goes on.
func TestHandsOverInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.d.CallTimeout = 30 * time.Second
	tokens := w.seed(t, 200)
	rate := 600
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	w.start(t, "m")
	began := w.clock.Now()
	orders := w.cut(t, "m")
	if took := w.clock.Now().Sub(began); len(orders) != 1 || took > w.d.CallTimeout {
		t.Errorf("after %s it ordered %v", took, orders)
	}
	for len(orders) > 0 {
		orders = w.cut(t, "m")
	}
	w.checkOnce(t, "m", tokens)
}

// TestStaysTwoMinutesAhead: with as much cut as goes out in two minutes it
// waits. A mailing that ends meanwhile is left.
func TestStaysTwoMinutesAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.d.QuotaPerMinute = 1 // any batch is more
	var lines []store.ImportLine
	for i := range pageSize + 10 {
		id := fmt.Sprintf("c%d", i)
		lines = append(lines, store.ImportLine{Customer: id, Tokens: []push.Registration{{Kind: push.KindToken, Value: "t-" + id, Platform: push.Android}}})
	}
	if _, _, err := w.Import(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	w.mailing(t, "m", nil)
	w.start(t, "m")
	if orders := w.cut(t, "m"); len(orders) != 1 || len(w.targets(t, "m")) != pageSize {
		t.Errorf("%d were cut, then %v was ordered", len(w.targets(t, "m")), orders)
	}
	w.d.Sleep = func(ctx context.Context, d time.Duration) error {
		if _, err := w.Cancel(ctx, "m"); err != nil {
			t.Error(err)
		}
		return w.clock.Sleep(ctx, d)
	}
	if orders := w.cut(t, "m"); len(orders) > 0 || len(w.targets(t, "m")) != pageSize {
		t.Errorf("of a mailing that was cancelled %d were cut, then %v was ordered", len(w.targets(t, "m")), orders)
	}
}

// uncounted cannot count open batches.
type uncounted struct{ ledger }

func (uncounted) CountOpen(context.Context, string) (int, error) {
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
	if err := w.d.carryOut(t.Context(), push.DispatchOrder{Mailing: "m"}); err == nil {
		t.Fatal("open batches could not be counted, and nobody is told")
	}
	w.d.Store = good
	w.cut(t, "m")
	w.checkOnce(t, "m", tokens)
}
