package tick

import (
	"errors"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestTellsWhatItsWriterCouldNot: whoever registered a token died between the
// commit and the publishing.
func TestTellsWhatItsWriterCouldNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "anna", push.IOS)
	if w.tick(t); len(w.Published()) != 0 {
		t.Fatalf("told before its writer had the time to: %v", w.Published())
	}
	w.clock.Add(time.Minute)
	w.fail(errors.New("no Pub/Sub"))
	w.tick(t)
	w.fail(nil)
	w.tick(t)
	if len(w.Published()) != 1 || w.Published()[0].Type != push.AvailabilityChanged || w.Published()[0].Subject != "customers/anna" {
		t.Fatalf("told %v", w.Published())
	}
	if w.tick(t); len(w.Published()) != 1 {
		t.Errorf("told again: %v", w.Published()[1:])
	}
}

// TestExpiresTokens: an Android token that was not seen for 270 days stops
// being valid, and that is told; others do not.
func TestExpiresTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, p := range map[string]push.Platform{"old": push.Android, "apple": push.IOS, "seen": push.Android} {
		w.register(t, id, p)
	}
	w.clock.Add(push.TokenLife)
	w.register(t, "seen", push.Android)
	w.tick(t)
	if c, err := w.ReadCustomer(t.Context(), "old"); err != nil || !c.HasValidToken() {
		t.Fatalf("expired on the last day: %+v, %v", c, err)
	}
	before := len(w.Published())
	w.clock.Add(24 * time.Hour)
	w.tick(t)
	for id, want := range map[string]bool{"old": false, "apple": true, "seen": true} {
		c, err := w.ReadCustomer(t.Context(), id)
		if err != nil || c.HasValidToken() != want {
			t.Errorf("%s can be reached: %v, want %v; %v", id, c.HasValidToken(), want, err)
		}
	}
	told := map[string]int{}
	for _, e := range w.Published()[before:] {
		told[e.Type+" "+e.Subject]++
	}
	if len(told) != 2 || told[push.TokenInvalidated+" customers/old"] != 1 || told[push.AvailabilityChanged+" customers/old"] != 1 {
		t.Errorf("told %v", told)
	}
	w.clock.Add(time.Hour)
	if w.tick(t); len(w.Published()) != before+2 {
		t.Errorf("told again: %v", w.Published()[before+2:])
	}
}
