package tick

import (
	"slices"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestAnUnflagThatStandsStillIsAskedForAgain: its message was lost, or its call
// crashed; one that comes further, or is leased by a call, is left alone.
func TestAnUnflagThatStandsStillIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.settle(t, w.createBatch(t, "m", true), push.ResultUnregistered)
	w.tick(t) // it completes
	if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	again := []push.DispatchMessage{{Mailing: "m", Shard: push.DispatchUnflag}}
	ticked := func(when string, want []push.DispatchMessage) {
		t.Helper()
		w.dispatchMessages = nil
		w.tick(t)
		if !slices.Equal(w.dispatchMessages, want) {
			t.Errorf("%s: tick published %v, want %v", when, w.dispatchMessages, want)
		}
	}

	ticked("just begun", nil)
	w.clock.Add(3 * time.Minute)
	ticked("nobody has taken it", again)

	l, err := w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if l == nil {
		t.Fatal("the unflag is not leased, want a lease")
	}
	w.clock.Add(time.Minute)
	ticked("a call has it", nil)
	w.clock.Add(2 * time.Minute)
	ticked("the call has crashed", again)

	if _, err := w.EndUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	ticked("it is completed", nil)
}
