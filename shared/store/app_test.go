package store_test

import (
	"testing"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

// Batches that were stored before there were sums by app count as an unknown app, so that
// the apps are always the whole mailing.
func TestAppsOfBatchesWithoutATally(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.starts(t, "m")
	for n, app := range []string{"shop", "pharmacy"} {
		w.settles(t, "m", n, push.Target{Customer: "c-" + app, Token: "t-" + app, Kind: push.KindToken, App: app})
	}
	batches, err := w.DB().Collection("mailings/m/batches").Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(batches) != 2 {
		t.Fatalf("there are %d batches, want 2", len(batches))
	}
	if _, err := batches[0].Ref.Update(t.Context(), []firestore.Update{{Path: "appTally", Value: firestore.Delete}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	m, err := w.Freeze(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if m == nil {
		t.Fatal("the totals are not stored")
	}

	one := push.NewTokenTotals(1, push.Tally{push.ResultAccepted: 1})
	if diff := cmp.Diff(map[string]push.TokenTotals{"unknown": one, "pharmacy": one}, m.Totals.Apps); diff != "" {
		t.Errorf("the apps (-want +got):\n%s", diff)
	}
}
