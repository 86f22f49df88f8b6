package deliver

import (
	"errors"
	"testing"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

func TestTheLastCallLooksForAllOfThem(t *testing.T) {
	t.Parallel()
	c := newCallsByMailing()
	for range 3 {
		c.beginCall("m")
	}
	c.beginCall("other")
	for i, step := range []struct {
		mailing string
		settled bool
		look    bool
	}{
		{"m", true, false},      // two are under way
		{"other", false, false}, // it settled nothing
		{"m", false, false},
		{"m", false, true}, // the first one's batch
	} {
		if got := c.endCall(step.mailing, step.settled); got != step.look {
			t.Errorf("step %d: looks: %v", i, got)
		}
	}
	c.beginCall("m")
	if c.endCall("m", false) {
		t.Error("a later call looks again for what was looked for")
	}
	if len(c.byMailing) != 0 {
		t.Errorf("%d mailings are still remembered", len(c.byMailing))
	}
}

// An end that cannot be published is our fault, whatever the last call itself came to.
func TestAnEndThatCannotBePublishedIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	own := w.mailing("m1", true, "token-1:APA91b")
	broken := errors.New("Pub/Sub is out of reach")
	w.Fail(broken)
	if err := w.d.deliverAndFinish(t.Context(), own, ""); !errors.Is(err, broken) {
		t.Errorf("its batch was the last: %v", err)
	}
	ref := w.mailing("m2", true, "token-2:APA91b")
	w.d.calls.beginCall("m2")
	if err := w.d.deliverAndFinish(t.Context(), ref, ""); err != nil {
		t.Errorf("another call was to look: %v", err)
	}
	w.d.calls.byMailing["m2"].calls = 0 // it crashed before it could
	if err := w.d.deliverAndFinish(t.Context(), push.BatchRef{Mailing: "m2", Batch: "gone"}, ""); !errors.Is(err, broken) {
		t.Errorf("there is no such batch, but a mailing to end: %v", err)
	}
}
