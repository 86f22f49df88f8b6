package store_test

import (
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func (w *harness) flag(t testing.TB, mailing, customer, token string, created time.Time) store.FlagResult {
	t.Helper()
	res, err := w.FlagToken(t.Context(), store.Flag{Mailing: mailing, Customer: customer, TokenID: push.TokenID(token),
		Code: push.CodeUnregistered, Status: "NOT_FOUND", At: w.clock.Now(), BatchCreatedAt: created})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestLateFlagsLose(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "t")
	created := w.clock.Now().Add(time.Minute)
	w.clock.Add(2 * time.Minute)
	w.register(t, "anna", "t") // seen again, nothing else
	w.clock.Add(time.Minute)
	res := w.flag(t, "m", "anna", "t", created)
	check.Equal(t, res.Set, false, "flag of a batch from before the registration: res.Set")
	check.Equal(t, len(res.Events), 0, "flag of a batch from before the registration: number of entries in res.Events")
	if !w.tokenOf(t, "anna", "t").Valid() {
		t.Error("the token is invalid")
	}
}

// TestRepeatedFlagHasTheSameEvents: the first call crashed before it published the
// events, and the token is gone at the time of the second.
func TestRepeatedFlagHasTheSameEvents(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "t")
	w.clock.Add(time.Minute)
	created := w.clock.Now()
	first := w.flag(t, "m", "anna", "t", created)
	again := w.flag(t, "m", "anna", "t", created)
	check.Equal(t, again.Set, true, "the repeated flag: again.Set")
	check.Equal(t, kinds(again.Events), kinds(first.Events), "the repeated flag: kinds(again.Events)")
	check.Equal(t, again.Events[0].ID, first.Events[0].ID, "the repeated flag: again.Events[0].ID")
	check.Equal(t, again.Events[1].ID, first.Events[1].ID, "the repeated flag: again.Events[1].ID")
	if _, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("t")); err != nil {
		t.Fatal(err)
	}
	late := w.flag(t, "m", "anna", "t", created)
	check.Equal(t, late.Set, false, "after the token is gone: late.Set")
	if len(late.Events) != 1 {
		t.Fatalf("after the token is gone: %d entries, want %v: %+v", len(late.Events), 1, late.Events)
	}
	check.Equal(t, late.Events[0].ID, first.Events[1].ID, "after the token is gone: late.Events[0].ID")
}

func TestUnflagTakesBackItsOwnOnly(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "t")
	w.clock.Add(time.Minute)
	w.flag(t, "m", "anna", "t", w.clock.Now())
	d := push.InvalidToken{Customer: "anna", TokenID: push.TokenID("t")}
	if took, _, err := w.UnflagToken(t.Context(), "other", d); err != nil {
		t.Fatalf("unflag of another mailing: %v", err)
	} else {
		check.Equal(t, took, false, "unflag of another mailing: took")
	}
	took, events, err := w.UnflagToken(t.Context(), "m", d)
	if err != nil {
		t.Fatalf("w.UnflagToken: %v", err)
	}
	check.Equal(t, took, true, "removed flags")
	check.Equal(t, kinds(events), "anna=true", "kinds(events)")
	check.Equal(t, w.Count("outbox"), 2, "number of events in the outbox")
	w.clock.Add(push.TokenLife + 48*time.Hour)
	w.expire(t)
	if took, _, err := w.UnflagToken(t.Context(), "", d); err != nil {
		t.Fatalf("unflag of a token that expired: %v", err)
	} else {
		check.Equal(t, took, false, "unflag of a token that expired: took")
		check.Equal(t, w.tokenOf(t, "anna", "t").Valid(), false, `unflag of a token that expired: w.tokenOf(t, "anna", "t").Valid()`)
	}
}
