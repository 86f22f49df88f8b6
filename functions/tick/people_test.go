package tick

import (
	"errors"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestTickPublishesEventsLeftInTheOutbox: whoever registered a token crashed between the
// commit and the publishing.
func TestTickPublishesEventsLeftInTheOutbox(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", push.IOS)
	if w.tick(t); len(w.Published()) != 0 {
		t.Fatalf("published before its writer had the time to: %v", w.Published())
	}
	w.clock.Add(time.Minute)
	w.fail(errors.New("no Pub/Sub"))
	w.tick(t)
	w.fail(nil)
	w.tick(t)
	if len(w.Published()) != 1 {
		t.Fatalf("number of published events is %v, want 1: %+v", len(w.Published()), w.Published())
	}
	if w.Published()[0].Type != push.AvailabilityChanged {
		t.Fatalf("type of the published event is %v, want %v", w.Published()[0].Type, push.AvailabilityChanged)
	}
	if w.Published()[0].Subject != "customers/anna" {
		t.Fatalf("subject of the published event is %v, want customers/anna", w.Published()[0].Subject)
	}
	if w.tick(t); len(w.Published()) != 1 {
		t.Errorf("published again: %v", w.Published()[1:])
	}
}

// TestExpiresTokens: an Android token that was not seen for 270 days stops
// being valid, and events say so; others do not.
func TestExpiresTokens(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for id, p := range map[string]push.Platform{"old": push.Android, "apple": push.IOS, "seen": push.Android} {
		w.register(t, id, p)
	}
	w.clock.Add(push.TokenLife)
	w.register(t, "seen", push.Android)
	w.tick(t)
	c, err := w.ReadCustomer(t.Context(), "old")
	if err != nil {
		t.Fatalf("reading old on the last day: %v", err)
	}
	if !c.HasValidToken() {
		t.Fatal("push cannot reach old on the last day, want it reached")
	}
	before := len(w.Published())
	w.clock.Add(24 * time.Hour)
	w.tick(t)
	for id, want := range map[string]bool{"old": false, "apple": true, "seen": true} {
		t.Run(id, func(t *testing.T) {
			c, err := w.ReadCustomer(t.Context(), id)
			if err != nil {
				t.Fatalf("reading %s: %v", id, err)
			}
			check.Equal(t, c.HasValidToken(), want, "that push can reach %s", id)
		})
	}
	published := map[string]int{}
	for _, e := range w.Published()[before:] {
		published[e.Type+" "+e.Subject]++
	}
	if len(published) != 2 {
		t.Fatalf("number of kinds of events is %v, want 2: %+v", len(published), published)
	}
	check.Equal(t, published[push.TokenInvalidated+" customers/old"], 1, "number of events that the token of old is invalid")
	check.Equal(t, published[push.AvailabilityChanged+" customers/old"], 1, "number of events that the availability of old changed")
	w.clock.Add(time.Hour)
	if w.tick(t); len(w.Published()) != before+2 {
		t.Errorf("published again: %v", w.Published()[before+2:])
	}
}
