package store_test

import (
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func (w *harness) flag(t testing.TB, mailing, customer, token string, cut time.Time) store.FlagResult {
	t.Helper()
	res, err := w.FlagToken(t.Context(), store.Flag{Mailing: mailing, Customer: customer, TokenID: push.TokenID(token),
		Code: push.CodeUnregistered, Status: "NOT_FOUND", At: w.clock.Now(), CutAt: cut})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestLateFlagsLose(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "t")
	cut := w.clock.Now().Add(time.Minute)
	w.clock.Add(2 * time.Minute)
	w.register(t, "anna", "t") // seen again, nothing else
	w.clock.Add(time.Minute)
	res := w.flag(t, "m", "anna", "t", cut)
	equal(t, "flag of a batch from before the registration: res.Set", res.Set, false)
	equal(t, "flag of a batch from before the registration: number of entries in res.Events", len(res.Events), 0)
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
	cut := w.clock.Now()
	first := w.flag(t, "m", "anna", "t", cut)
	again := w.flag(t, "m", "anna", "t", cut)
	equal(t, "the repeated flag: again.Set", again.Set, true)
	equal(t, "the repeated flag: kinds(again.Events)", kinds(again.Events), kinds(first.Events))
	equal(t, "the repeated flag: again.Events[0].ID", again.Events[0].ID, first.Events[0].ID)
	equal(t, "the repeated flag: again.Events[1].ID", again.Events[1].ID, first.Events[1].ID)
	if _, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("t")); err != nil {
		t.Fatal(err)
	}
	late := w.flag(t, "m", "anna", "t", cut)
	equal(t, "after the token is gone: late.Set", late.Set, false)
	if len(late.Events) != 1 {
		t.Fatalf("after the token is gone: %d entries, want %v: %+v", len(late.Events), 1, late.Events)
	}
	equal(t, "after the token is gone: late.Events[0].ID", late.Events[0].ID, first.Events[1].ID)
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
		equal(t, "unflag of another mailing: took", took, false)
	}
	took, events, err := w.UnflagToken(t.Context(), "m", d)
	if err != nil {
		t.Fatalf("w.UnflagToken: %v", err)
	}
	equal(t, "removed flags", took, true)
	equal(t, "kinds(events)", kinds(events), "anna=true")
	equal(t, "number of events in the outbox", w.Count("outbox"), 2)
	w.clock.Add(push.TokenLife + 48*time.Hour)
	w.expire(t)
	if took, _, err := w.UnflagToken(t.Context(), "", d); err != nil {
		t.Fatalf("unflag of a token that expired: %v", err)
	} else {
		equal(t, "unflag of a token that expired: took", took, false)
		equal(t, `unflag of a token that expired: w.tokenOf(t, "anna", "t").Valid()`, w.tokenOf(t, "anna", "t").Valid(), false)
	}
}
