package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func (w *harness) expire(t testing.TB) []push.Event {
	t.Helper()
	out, err := w.ExpireTokens(t.Context(), store.ExpiryCursor{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return out.Events
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := context.Background()
	w.register(t, "anna", "old")
	if _, err := w.RegisterToken(ctx, "anna", push.Registration{Kind: push.KindToken, Value: "phone", Platform: push.IOS}); err != nil {
		t.Fatal(err)
	}
	w.register(t, "bert", "alone")
	w.clock.Add(push.TokenLife)
	silent := strings.Fields(kinds(w.expire(t)))
	slices.Sort(silent)
	equal(t, "events before the tokens expire: both customers are silent", silent, []string{"anna=true", "bert=true"})
	w.register(t, "carl", "seen")
	w.clock.Add(24 * time.Hour)
	out, err := w.ExpireTokens(ctx, store.ExpiryCursor{}, 100)
	if err != nil {
		t.Fatalf("w.ExpireTokens: %v", err)
	}
	equal(t, "customers that were handled", out.Customers, 2)
	equal(t, "number of events of the expiry", len(out.Events), 3)
	equal(t, "number of events in the outbox", w.Count("outbox"), 8)
	anna, bert := w.customer(t, "anna"), w.customer(t, "bert")
	equal(t, "after the expiry: anna.Reachable()", anna.HasValidToken(), true)
	equal(t, "after the expiry: bert.Reachable()", bert.HasValidToken(), false)
	equal(t, `after the expiry: w.customer(t, "carl").Reachable()`, w.customer(t, "carl").HasValidToken(), true)
	x := w.tokenOf(t, "anna", "old")
	equal(t, "whether the old token is valid", x.Valid(), false)
	equal(t, "x.Invalid.Code", x.Invalid.Code, push.CodeExpired)
	equal(t, "x.Invalid.Mailing", x.Invalid.Mailing, "")
	if out, err := w.ExpireTokens(ctx, store.ExpiryCursor{}, 100); err != nil {
		t.Fatalf("expiring again: %v", err)
	} else {
		equal(t, "expiring again: out.Customers", out.Customers, 0)
	}
	back := w.register(t, "bert", "alone")
	equal(t, "seen again: kinds(back.Events)", kinds(back.Events), "bert=true")
	equal(t, "seen again: back.Token.AddedAt", back.Token.AddedAt, w.clock.Now())
}

// TestLongerTokenLifeCountsForStoredTokens: a longer life counts also for tokens that
// were stored before the setting changed.
func TestLongerTokenLifeCountsForStoredTokens(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "t")
	w.clock.Add(push.TokenLife + 48*time.Hour)
	w.Store = store.New(w.DB(), store.Options{Now: w.clock.Now, TokenLife: 2 * push.TokenLife})
	out, err := w.ExpireTokens(t.Context(), store.ExpiryCursor{}, 100)
	if err != nil {
		t.Fatalf("w.ExpireTokens: %v", err)
	}
	equal(t, "customers that were handled", out.Customers, 2)
	equal(t, "events of the expiry", kinds(out.Events), "anna=true")
	if out, err := w.ExpireTokens(t.Context(), store.ExpiryCursor{}, 100); err != nil {
		t.Fatalf("expiring again: %v", err)
	} else {
		equal(t, "expiring again: out.Customers", out.Customers, 0)
		equal(t, `expiring again: w.customer(t, "anna").Reachable()`, w.customer(t, "anna").HasValidToken(), true)
	}
}
