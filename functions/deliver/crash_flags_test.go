package deliver

import (
	"sync/atomic"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// killedWhenFlagging makes a store whose instance is killed when it flags: once a
// batch with owed flags was leased or saved, it saves no batch until the next lease.
func killedWhenFlagging(s *store.Store) *storetest.FailingStore {
	var killed atomic.Bool
	owesFlags := func(c *storetest.Call) bool { return len(storetest.Arg[*push.Batch](c, 0).OwedFlags) > 0 }

	return storetest.New(s).After(func(c *storetest.Call) error {
		if !c.Failed() {
			killed.Store(owesFlags(c))
		}
		return nil
	}, storetest.LeaseBatch).Before(func(c *storetest.Call) error {
		if killed.Load() {
			return errKilled
		}
		killed.Store(owesFlags(c))
		return nil
	}, storetest.SaveBatch)
}

// TestFlagsThatCrashTheInstanceAreGivenUp: nothing is left to send, and the batch
// ends all the same.
func TestFlagsThatCrashTheInstanceAreGivenUp(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("gone-token", "UNREGISTERED")
	ref := w.mailing("m", true, "gone-token", "good-token")
	deps := w.deps
	deps.Store = killedWhenFlagging(w.Store)
	d := newDeliverer(deps)
	for range maxCrashes + 2 {
		_ = d.deliverAndFinish(t.Context(), ref, "")
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
	if n := w.messagesByToken("m")["good-token"]; n != 1 {
		t.Errorf("the good token got %d messages, want 1", n)
	}
}
