package dispatch

import (
	"fmt"
	"testing"
	"time"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// useRosters makes dispatch read every audience from rosters. So short a slack is enough for the
// emulator.
func (w *harness) useRosters() {
	w.Store = store.New(w.db, store.Options{Now: w.clock.Now, RostersFrom: 1, RosterSlack: 2 * time.Millisecond})
	w.failing = storetest.New(w.Store)
	failAtStep(w.failing, w.fail)
	w.d.Store = w.failing
}

// TestMailingsFromRosters sends two mailings. Between them tokens move, and customers opt out, come
// and are erased: the second mailing has what the customers have then.
func TestMailingsFromRosters(t *testing.T) {
	t.Parallel()
	const n = 300
	w := newHarness(t, nil)
	w.useRosters()
	tokens := w.seedEach(t, n, 2)
	w.clock.Add(time.Minute)

	w.mailing(t, "first", nil)
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "first", Shard: push.DispatchStart})
	w.checkOnce(t, "first", tokens)
	made, err := w.db.Collection("rosters").Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatalf("reading the rosters: %v", err)
	}
	check.Equal(t, len(made), push.KeyPrefixes, "number of rosters")

	w.clock.Add(time.Minute)
	yes := true
	if _, err := w.PatchCustomer(t.Context(), "c1", push.CustomerPatch{OptedOut: &yes}); err != nil {
		t.Fatalf("opting out: %v", err)
	}
	if _, err := w.EraseCustomer(t.Context(), "c2"); err != nil {
		t.Fatalf("erasing: %v", err)
	}
	for customer, token := range map[string]string{"c3": "c4-token-0", "new": "new-token"} {
		if _, err := w.RegisterToken(t.Context(), customer, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android}); err != nil {
			t.Fatalf("registering %s: %v", token, err)
		}
	}
	w.clock.Add(time.Minute)

	w.mailing(t, "second", nil)
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "second", Shard: push.DispatchStart})
	w.checkOnce(t, "second", tokens-4+1)
	got := w.targets(t, "second")
	for token, want := range map[string]int{"c1-token-0": 0, "c2-token-0": 0, "c3-token-0": 1, "c4-token-0": 1, "new-token": 1} {
		check.Equal(t, got[token], want, "batches with the token %s", token)
	}
}

// TestCrashesWhileRostersAreRead ends calls of dispatch at every commit, before and after it is
// stored.
func TestCrashesWhileRostersAreRead(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"before CreateBatches", "after CreateBatches", "before StartMailing", "after StartMailing"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			failures := map[string]int{step: 1}
			w := newHarness(t, func(s string) error {
				if failures[s]--; failures[s] >= 0 {
					return fmt.Errorf("crashed %s", s)
				}
				return nil
			})
			w.useRosters()
			tokens := w.seedEach(t, 300, 2)
			w.clock.Add(time.Minute)
			for _, id := range []string{"first", "second"} {
				failures[step] = 1
				w.mailing(t, id, nil)
				w.handleUntilDone(t, push.DispatchMessage{Mailing: id, Shard: push.DispatchStart})
				w.checkOnce(t, id, tokens)
				check.Equal(t, failures[step] < 1, true, "that a call of mailing %s crashed", id)
				w.clock.Add(time.Minute)
			}
		})
	}
}
