package store_test

import (
	"errors"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// byItself returns a registration that an app makes without a backend.
func byItself(r push.Registration) push.Registration {
	r.Limits = &push.DefaultLimits
	return r
}

// TestAMoveWaitsForTheOwnersSilence: an app does not get a token that its owner uses,
// by its token or its FID. The owner gets a token back at once, and the other app waits
// again. The retailer's backend moves it at any time.
func TestAMoveWaitsForTheOwnersSilence(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ok, no := true, false
	for i, c := range []struct {
		what     string
		wait     time.Duration
		customer string
		r        push.Registration
		taken    *bool // nil: not asked
		owner    string
	}{
		{"the owner", 0, "anna", byItself(a("phone:x")), &ok, "anna"},
		{"a stranger, at once", time.Hour, "thief", byItself(a("phone:x")), &no, "anna"},
		{"a stranger, by the other name", time.Hour, "thief", byItself(fid("phone")), &no, "anna"},
		{"the owner is back", 20 * time.Hour, "anna", byItself(a("phone:x")), &ok, "anna"},
		{"a stranger, a day after the first sign", 10 * time.Hour, "thief", byItself(a("phone:x")), &no, "anna"},
		{"a stranger, a day after the last", 14 * time.Hour, "thief", byItself(fid("phone")), &ok, "thief"},
		{"the owner takes it back", time.Minute, "anna", byItself(a("phone:x")), &ok, "anna"},
		{"the stranger does not", time.Minute, "thief", byItself(a("phone:x")), &no, "anna"},
		{"the retailer does", time.Minute, "bert", a("phone:x"), &ok, "bert"},
	} {
		t.Run(c.what, func(t *testing.T) {
			w.clock.Add(c.wait)
			_, err := w.RegisterToken(t.Context(), c.customer, c.r)
			switch {
			case *c.taken:
				if err != nil {
					t.Errorf("%d. %s: %v, want the token registered", i, c.what, err)
				}
			case !push.IsStateConflict(err):
				t.Errorf("%d. %s: %v, want a conflict", i, c.what, err)
			}
			if got := w.values(t, c.owner); len(got) != 1 {
				t.Errorf("%d. %s: %s has %v, want the phone", i, c.what, c.owner, got)
			}
		})
	}
}

// TestMovesAreLimited, more tightly than registrations; and a registration that
// is refused writes nothing.
func TestMovesAreLimited(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	limits := push.Limits{PerHour: 4, PerDay: 6, MovesPerHour: 1, MovesPerDay: 2}
	for _, token := range []string{"a", "b", "c"} {
		w.register(t, "anna", token)
	}
	w.clock.Add(push.MoveWait)
	takes := func(token string, wait time.Duration) {
		t.Helper()
		r := a(token)
		r.Limits = &limits
		_, err := w.RegisterToken(t.Context(), "thief", r)
		reached, limited := errors.AsType[*push.LimitReached](err)
		switch {
		case wait == 0 && err != nil:
			t.Errorf("%s at %v: %v, want it taken", token, w.clock.Now(), err)
		case wait > 0 && !limited:
			t.Errorf("%s at %v: %v, want the limit reached", token, w.clock.Now(), err)
		case wait > 0 && reached.RetryAfter != wait:
			t.Errorf("%s at %v: after %v, want after %v", token, w.clock.Now(), reached.RetryAfter, wait)
		}
	}
	takes("a", 0)
	revision := w.customer(t, "thief").Revision
	takes("b", time.Hour)
	if got := w.customer(t, "thief").Revision; got != revision {
		t.Error("a registration that was refused has written something")
	}
	for range 3 {
		takes("a", 0) // seen again, and counted
	}
	takes("a", time.Hour)
	w.clock.Add(time.Hour)
	takes("b", 0)
	w.clock.Add(time.Hour)
	takes("c", 10*time.Hour)
	takes("a", 0)
	takes("a", 10*time.Hour)
	w.clock.Add(10 * time.Hour)
	takes("c", 0)
}
