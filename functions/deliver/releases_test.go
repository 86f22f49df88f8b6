package deliver

import (
	"testing"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// TestAFaultyReleaseFlagsNobody: the app hands out installation ids that FCM
// does not know; those of earlier releases are fine.
func TestAFaultyReleaseFlagsNobody(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.deliver(w.fids("old", false, names("old", 40)...))
	w.phones.SetOutcome("new*", "UNREGISTERED")
	ref := w.fids("m", true, names("new", 30)...)
	w.deliver(ref)
	if n := w.flagged(names("new", 30)...); n != 0 {
		t.Errorf("%d new installation ids are flagged, want none", n)
	}
	if got := w.heldOf("m"); got != 30 {
		t.Errorf("%d flags are held, want 30", got)
	}

	w.phones.SetOutcome("new*", "OK")
	w.clock.Add(heldWait)
	w.deliver(ref)
	w.wantState("m", push.Completed, 0)
	if n := w.flagged(names("new", 30)...); n != 0 {
		t.Errorf("%d new installation ids are flagged afterwards, want none", n)
	}
}

// TestAFaultyReleaseInASmallMailing: one instance has seen many unknown
// installation ids, another one sends to two of them among others.
func TestAFaultyReleaseInASmallMailing(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("new*", "UNREGISTERED")
	large := w.fids("large", true, append(names("good", 20), names("new", 8)...)...)
	w.deliver(large)
	w.clock.Add(heldWait)
	w.deliver(large) // the suspicion is recorded
	w.wantState("large", push.Sending, 8)

	w.d = newDeliverer(w.deps)
	unknown := []string{"new-a", "new-b"}
	ref := w.fids("m", true, append(names("others", 20), unknown...)...)
	for range 3 {
		w.deliver(ref)
		w.clock.Add(heldWait)
	}
	if n := w.flagged(unknown...); n != 0 {
		t.Errorf("%d of the release's installation ids are flagged, want none", n)
	}
	w.wantState("m", push.Sending, 2)

	// The app's next release registers them; one has been uninstalled meanwhile.
	w.phones.SetOutcome("new*", "OK")
	w.phones.SetOutcome("new-b", "UNREGISTERED")
	w.deliver(large)
	w.deliver(ref)
	w.wantState("large", push.Completed, 0)
	w.wantState("m", push.Completed, 0)
	if n := w.flagged("new-b"); n != 1 {
		t.Error("the installation id that is gone is not flagged once the others are accepted")
	}
	if n := w.flagged(append(names("new", 8), "new-a")...); n != 0 {
		t.Errorf("%d live phones are flagged, want none", n)
	}
}

// TestAYoungInstallationThatIsGoneIsFlagged: few of them are invalid, and the
// second call flags it.
func TestAYoungInstallationThatIsGoneIsFlagged(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("gone", "UNREGISTERED")
	ref := w.fids("m", true, append(names("good", 9), "gone")...)
	w.deliver(ref)
	w.wantState("m", push.Sending, 1)
	w.clock.Add(heldWait)
	w.deliver(ref)
	w.wantState("m", push.Completed, 0)
	if n := w.flagged("gone"); n != 1 {
		t.Error("the installation id is not flagged by the second call")
	}
}

// TestInvalidYoungTokensAreFlaggedInTheEnd: an outage held them, and most of
// their group turned out to be valid.
func TestInvalidYoungTokensAreFlaggedInTheEnd(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("*", "UNREGISTERED")
	ref := w.fids("m", true, append(names("live", 100), names("gone", 12)...)...)
	w.deliver(ref)
	w.wantState("m", push.Sending, 112)

	w.phones.SetOutcome("live*", "OK")
	w.clock.Add(heldWait)
	w.deliver(ref)
	w.wantState("m", push.Completed, 0)
	if n := w.flagged(names("gone", 12)...); n != 12 {
		t.Errorf("%d of 12 invalid tokens are flagged", n)
	}
}
