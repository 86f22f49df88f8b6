package dispatch

import (
	"errors"
	"testing"
	"time"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// start stores the mailing's shards and forgets the messages that dispatch publishes.
func (w *harness) start(t *testing.T, id string) {
	t.Helper()
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: id, Shard: push.DispatchStart}); err != nil {
		t.Fatal(err)
	}
	w.messages = nil
}

// workOnFirstShard handles a message for the mailing's first shard, and returns the messages
// that it publishes.
func (w *harness) workOnFirstShard(t *testing.T, id string) []push.DispatchMessage {
	t.Helper()
	w.messages = nil
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: id}); err != nil {
		t.Fatal(err)
	}
	return w.messages
}

// TestAShardIsOneCalls: a second message for a shard that a call has leased does
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
	messages := w.workOnFirstShard(t, "m")
	if len(messages) > 0 {
		t.Errorf("number of messages is %v, want 0", len(messages))
	}
	if len(w.targets(t, "m")) > 0 {
		t.Errorf("number of targets is %v, want 0", len(w.targets(t, "m")))
	}
	w.clock.Add(2 * time.Minute)
	w.workOnFirstShard(t, "m")
	w.checkOnce(t, "m", tokens)
}

// TestNoBatchesOfAPausedMailing: not even a message that was on its way creates one.
func TestNoBatchesOfAPausedMailing(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seed(t, 3)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	if _, err := w.PauseMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	messages := w.workOnFirstShard(t, "m")
	if len(messages) > 0 {
		t.Errorf("number of messages is %v, want 0", len(messages))
	}
	if len(w.targets(t, "m")) > 0 {
		t.Errorf("number of targets is %v, want 0", len(w.targets(t, "m")))
	}
}

// eachPageTakes moves the clock before the batches of a page are created.
func (w *harness) eachPageTakes(d time.Duration) {
	w.failing.Before(storetest.Do(func() { w.clock.Add(d) }), storetest.CreateBatches)
}

// TestHandsOverInTime: a call that has more batches to create than its time allows
// ends before that, and a new message goes on.
func TestHandsOverInTime(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.d.CallTimeout = 30 * time.Second
	w.eachPageTakes(10 * time.Second)
	w.seed(t, 3*store.DocumentPage+10)
	w.mailing(t, "m", nil)
	w.start(t, "m")
	began := w.clock.Now()
	messages := w.workOnFirstShard(t, "m")
	took := w.clock.Now().Sub(began)
	check.Equal(t, len(messages), 1, "number of messages")
	if took > w.d.CallTimeout {
		t.Errorf("the time of the call is %v, want at most %v", took, w.d.CallTimeout)
	}
	for calls := 0; len(messages) > 0; calls++ {
		if calls > 3 {
			t.Fatal("it does not come to an end")
		}
		messages = w.workOnFirstShard(t, "m")
	}
	m, err := w.ReadMailingHeader(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, m.Dispatched, true, "Dispatched")
}

// TestGivesItsPlaceBack: when there are as many targets as are sent in two minutes, the call
// stores when to continue and ends. A message that comes before that does nothing.
func TestGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.d.QuotaPerMinute = 1 // any batch is more
	w.people(t, store.DocumentPage+10, func(int) int { return 1 })
	w.mailing(t, "m", nil)
	w.start(t, "m")
	began := w.clock.Now()
	if messages := w.workOnFirstShard(t, "m"); len(messages) != 0 {
		t.Errorf("it published %v", messages)
	}
	if n := len(w.targets(t, "m")); n != store.DocumentPage {
		t.Errorf("%d targets were created, want %d", n, store.DocumentPage)
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

	w.workOnFirstShard(t, "m")
	after, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, after.Revision, sh.Revision, "revision of the shard after an early message")
	w.clock.Add(minRoomWait)
	w.workOnFirstShard(t, "m")
	if n := len(w.targets(t, "m")); n != store.DocumentPage {
		t.Errorf("nothing was sent, and there are %d targets", n)
	}
	w.settleAll(t, "m")
	w.clock.Add(minRoomWait)
	w.workOnFirstShard(t, "m")
	if n := len(w.targets(t, "m")); n != 10 {
		t.Errorf("there is room again, and there are %d targets, want the 10 that are left", n)
	}
}

// settleAll does what deliver does: it settles every batch.
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
		t.Fatal("open batches could not be counted, and handleMessage returned no error")
	}
	w.d.Store = good
	w.workOnFirstShard(t, "m")
	w.checkOnce(t, "m", tokens)
}
