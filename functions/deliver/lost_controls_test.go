package deliver

import (
	"errors"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestAnInstanceWhoseControlsAreGoneFlagsNobody: FCM accepted several tokens lately, and
// their customers have left. A new instance must not take an outage of FCM for the invalid
// tokens of a group that FCM has never accepted. When FCM works again, the flags are decided.
func TestAnInstanceWhoseControlsAreGoneFlagsNobody(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	controls := []string{"early-token-1", "early-token-2", "early-token-3"}
	w.deliver(w.mailing("first", true, controls...))
	for _, token := range controls {
		if _, err := w.UnregisterToken(t.Context(), "c-"+token, push.TokenID(token)); err != nil {
			t.Fatal(err)
		}
	}
	w.phones.SetOutcome("*", "UNREGISTERED")
	w.d = newDeliverer(w.deps)

	ref := w.mailing("second", true, "later-token-1")
	w.deliver(ref)
	check.Equal(t, w.invalid("later-token-1"), "", "flag of a valid token while FCM calls every token invalid")

	w.phones.SetOutcome("*", "OK")
	w.phones.SetOutcome("later-token-1", "UNREGISTERED")
	w.deliver(w.mailing("third", true, "other-token-1"))
	w.clock.Add(heldWait + time.Second)
	w.deliver(ref)
	check.Equal(t, w.invalid("later-token-1"), push.CodeUnregistered, "flag of an invalid token once FCM accepts others")
}

// TestControlsAreStoredAfterAFailedWrite: the next call tries again, and not one after ten
// minutes. A new instance has only the stored ones.
func TestControlsAreStoredAfterAFailedWrite(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	deps := w.deps
	failing := storetest.New(w.Store)
	writes := 0
	failing.Before(func(*storetest.Call) error {
		if writes++; writes <= 2 { // of the group, and of its kind
			return errors.New("out of reach")
		}
		return nil
	}, storetest.SaveControls)
	deps.Store = failing
	w.d = newDeliverer(deps)

	w.deliver(w.mailing("first", true, "early-token-1"))
	w.deliver(w.mailing("second", true, "early-token-2"))

	_, stored, err := w.ReadControls(t.Context(), tokenGroup{kind: push.KindToken, platform: push.Android}.storedName())
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, stored, 2, "number of stored control tokens")
}

// TestMoreControlsAreStoredAtOnce: after its first message an instance knows one control
// token, which may be gone before the next time to store them.
func TestMoreControlsAreStoredAtOnce(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	for n, token := range []string{"early-token-1", "early-token-2", "early-token-3"} {
		w.deliver(w.mailing(token, true, token))

		_, stored, err := w.ReadControls(t.Context(), tokenGroup{kind: push.KindToken, platform: push.Android}.storedName())
		if err != nil {
			t.Fatal(err)
		}
		check.Equal(t, stored, n+1, "number of stored control tokens after %d messages", n+1)
	}
}
