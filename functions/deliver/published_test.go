package deliver

import (
	"fmt"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// The event of a flag is published, whichever step the call crashed before that set the flag,
// although the next call can find out nothing and drops flags that are not decided: those of
// a mailing that was cancelled meanwhile.
func TestTheEventOfAFlagIsPublishedAfterACrash(t *testing.T) {
	t.Parallel()
	for steps := range 7 {
		t.Run(fmt.Sprintf("after %d steps", steps), func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			const token = "t-gone"
			w.phones.SetOutcome(token, "UNREGISTERED")
			ref := w.mailing("m", true, token, "t-good")

			deps := w.deps
			killed := &crash{steps: steps}
			deps.Store, deps.Queue = killed.store(w.Store), &crashingPublisher{w.EventRecorder, killed}
			_ = newDeliverer(deps).deliverAndFinish(t.Context(), ref, "")

			w.phones.SetOutcome("*", "UNAVAILABLE") // nothing can be found out about the token now
			if _, err := w.CancelMailing(t.Context(), "m"); err != nil && !push.IsStateConflict(err) {
				t.Fatal(err)
			}
			w.clock.Add(2 * time.Minute) // the lease of the call that crashed is over
			next := w.deps
			next.CallTimeout = 6 * time.Second // so long it asks FCM in vain
			if err := newDeliverer(next).deliverAndFinish(t.Context(), ref, ""); err != nil {
				t.Fatal(err)
			}

			published := false
			for _, e := range w.Published() {
				if d, ok := e.Data.(push.InvalidatedData); ok && d.TokenID == push.TokenID(token) {
					published = true
				}
			}
			if code := w.invalid(token); code != "" && !published {
				t.Errorf("the token is flagged as %s, but its event is not published", code)
			}
		})
	}
}
