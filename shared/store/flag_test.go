package store_test

import (
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func (w *world) flag(t testing.TB, mailing, customer, token string, cut time.Time) store.FlagResult {
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
	w := newWorld(t)
	w.register(t, "anna", "t")
	cut := w.clock.Now().Add(time.Minute)
	w.clock.Add(2 * time.Minute)
	w.register(t, "anna", "t") // seen again, nothing else
	w.clock.Add(time.Minute)
	if res := w.flag(t, "m", "anna", "t", cut); res.Set || len(res.Events) != 0 {
		t.Errorf("a batch cut before the last registration flagged: %+v", res)
	}
	if !w.tokenOf(t, "anna", "t").Valid() {
		t.Error("the token is invalid")
	}
}

// TestRepeatedFlagsTellAgain: whoever flagged died before publishing, and the
// token is gone by the time of the next try.
func TestRepeatedFlagsTellAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "anna", "t")
	w.clock.Add(time.Minute)
	cut := w.clock.Now()
	first := w.flag(t, "m", "anna", "t", cut)
	again := w.flag(t, "m", "anna", "t", cut)
	if !again.Set || kinds(again.Events) != kinds(first.Events) || again.Events[0].ID != first.Events[0].ID || again.Events[1].ID != first.Events[1].ID {
		t.Errorf("first %v, again %v", first, again)
	}
	if _, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("t")); err != nil {
		t.Fatal(err)
	}
	late := w.flag(t, "m", "anna", "t", cut)
	if late.Set || len(late.Events) != 1 || late.Events[0].ID != first.Events[1].ID {
		t.Errorf("after the token is gone: %+v", late)
	}
}

func TestUnflagTakesBackItsOwnOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "anna", "t")
	w.clock.Add(time.Minute)
	w.flag(t, "m", "anna", "t", w.clock.Now())
	d := push.InvalidToken{Customer: "anna", TokenID: push.TokenID("t")}
	if took, _, err := w.UnflagToken(t.Context(), "other", d); took || err != nil {
		t.Errorf("another mailing took the flag back: %v", err)
	}
	took, events, err := w.UnflagToken(t.Context(), "m", d)
	if !took || err != nil || kinds(events) != "anna=true" || w.Count("outbox") != 2 {
		t.Errorf("%v %v %s; %d events in the outbox", took, err, kinds(events), w.Count("outbox"))
	}
	w.clock.Add(push.TokenLife + 48*time.Hour)
	w.expire(t)
	if took, _, err := w.UnflagToken(t.Context(), "", d); took || err != nil || w.tokenOf(t, "anna", "t").Valid() {
		t.Errorf("a token's age was taken back: %v", err)
	}
}
