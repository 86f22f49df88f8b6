package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
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
	check.Equal(t, silent, []string{"anna=true", "bert=true"}, "events before the tokens expire: both customers are silent")
	w.register(t, "carl", "seen")
	w.clock.Add(24 * time.Hour)
	out, err := w.ExpireTokens(ctx, store.ExpiryCursor{}, 100)
	if err != nil {
		t.Fatalf("w.ExpireTokens: %v", err)
	}
	check.Equal(t, out.Customers, 2, "customers that were handled")
	check.Equal(t, len(out.Events), 3, "number of events of the expiry")
	check.Equal(t, w.Count("outbox"), 8, "number of events in the outbox")
	anna, bert := w.customer(t, "anna"), w.customer(t, "bert")
	check.Equal(t, anna.HasValidToken(), true, "after the expiry: anna.Reachable()")
	check.Equal(t, bert.HasValidToken(), false, "after the expiry: bert.Reachable()")
	check.Equal(t, w.customer(t, "carl").HasValidToken(), true, `after the expiry: w.customer(t, "carl").Reachable()`)
	x := w.tokenOf(t, "anna", "old")
	check.Equal(t, x.Valid(), false, "whether the old token is valid")
	check.Equal(t, x.Invalid.Code, push.CodeExpired, "x.Invalid.Code")
	check.Equal(t, x.Invalid.Mailing, "", "x.Invalid.Mailing")
	if out, err := w.ExpireTokens(ctx, store.ExpiryCursor{}, 100); err != nil {
		t.Fatalf("expiring again: %v", err)
	} else {
		check.Equal(t, out.Customers, 0, "expiring again: out.Customers")
	}
	back := w.register(t, "bert", "alone")
	check.Equal(t, kinds(back.Events), "bert=true", "seen again: kinds(back.Events)")
	check.Equal(t, back.Token.AddedAt, w.clock.Now(), "seen again: back.Token.AddedAt")
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
	check.Equal(t, out.Customers, 2, "customers that were handled")
	check.Equal(t, kinds(out.Events), "anna=true", "events of the expiry")
	if out, err := w.ExpireTokens(t.Context(), store.ExpiryCursor{}, 100); err != nil {
		t.Fatalf("expiring again: %v", err)
	} else {
		check.Equal(t, out.Customers, 0, "expiring again: out.Customers")
		check.Equal(t, w.customer(t, "anna").HasValidToken(), true, `expiring again: w.customer(t, "anna").Reachable()`)
	}
}
