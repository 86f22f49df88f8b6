package store_test

import (
	"context"
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func (w *world) expire(t testing.TB) []push.Event {
	t.Helper()
	out, err := w.ExpireTokens(t.Context(), store.ExpiryCursor{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return out.Events
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.register(t, "anna", "old")
	if _, err := w.RegisterToken(ctx, "anna", push.Registration{Kind: push.KindToken, Value: "phone", Platform: push.IOS}); err != nil {
		t.Fatal(err)
	}
	w.register(t, "bert", "alone")
	w.clock.Add(push.TokenLife)
	if got := kinds(w.expire(t)); got != "anna=true bert=true" && got != "bert=true anna=true" {
		t.Errorf("before the day came %q, want only that anna and bert are silent", got)
	}
	w.register(t, "carl", "seen")
	w.clock.Add(24 * time.Hour)
	out, err := w.ExpireTokens(ctx, store.ExpiryCursor{}, 100)
	if err != nil || out.Customers != 2 || len(out.Events) != 3 || w.Count("outbox") != 8 {
		t.Errorf("%d customers, events %s, %d in the outbox, %v", out.Customers, kinds(out.Events), w.Count("outbox"), err)
	}
	anna, bert := w.customer(t, "anna"), w.customer(t, "bert")
	if !anna.HasValidToken() || bert.HasValidToken() || !w.customer(t, "carl").HasValidToken() {
		t.Error("the wrong ones can be reached")
	}
	if x := w.tokenOf(t, "anna", "old"); x.Valid() || x.Invalid.Code != push.CodeExpired || x.Invalid.Mailing != "" {
		t.Errorf("%+v", x.Invalid)
	}
	if out, err := w.ExpireTokens(ctx, store.ExpiryCursor{}, 100); out.Customers != 0 || err != nil {
		t.Errorf("swept %d again, %v", out.Customers, err)
	}
	if back := w.register(t, "bert", "alone"); kinds(back.Events) != "bert=true" || !back.Token.AddedAt.Equal(w.clock.Now()) {
		t.Errorf("seen again: %+v", back)
	}
}

// TestALongerLifeIsReckonedAnew: a setting that was made longer holds for tokens
// stored before.
func TestALongerLifeIsReckonedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "anna", "t")
	w.clock.Add(push.TokenLife + 48*time.Hour)
	w.Store = store.New(w.DB(), store.Options{Now: w.clock.Now, TokenLife: 2 * push.TokenLife})
	if out, err := w.ExpireTokens(t.Context(), store.ExpiryCursor{}, 100); out.Customers != 2 || kinds(out.Events) != "anna=true" || err != nil { // looked at for both of its days, and silent
		t.Errorf("%d %s %v", out.Customers, kinds(out.Events), err)
	}
	if out, err := w.ExpireTokens(t.Context(), store.ExpiryCursor{}, 100); out.Customers != 0 || err != nil || !w.customer(t, "anna").HasValidToken() {
		t.Errorf("looked at again: %d %v", out.Customers, err)
	}
}
