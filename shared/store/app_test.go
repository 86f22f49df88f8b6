package store_test

import (
	"fmt"
	"testing"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud/check"
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
	w.deleteField(t, "mailings/m/batches/00-000000", "appTally")
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

// TestTheAppsOfALargeMailingAreAddedUp by the database if they are few. Otherwise all batches
// are read. The sums are right in both cases.
func TestTheAppsOfALargeMailingAreAddedUp(t *testing.T) {
	t.Parallel()
	const batches = 30
	twoApps := func(_, i int) string { return []string{"shop", ""}[i%2] }
	for _, test := range []struct {
		name    string
		appOf   func(batch, target int) string
		spoil   string // a field of one batch that is deleted before the sums are computed
		allRead bool
	}{
		{name: "two apps", appOf: twoApps},
		{name: "a name that is no name of a field", appOf: func(_, i int) string { return []string{"__a__.`b", "é/ü"}[i%2] }},
		{name: "an app in the last batch only", allRead: true, appOf: func(batch, i int) string {
			if batch == batches-1 && i == 0 {
				return "rare"
			}
			return twoApps(batch, i)
		}},
		{name: "more apps in a batch than have sums", allRead: true, appOf: func(batch, i int) string {
			if batch == 25 {
				return fmt.Sprint("app", i%10)
			}
			return twoApps(batch, i)
		}},
		{name: "many apps", allRead: true, appOf: func(_, i int) string { return fmt.Sprint("app", i%8) }},
		{name: "a batch without sums", allRead: true, appOf: twoApps, spoil: "appSums"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			read := &documents{}
			w := newHarness(t, grpc.WithStreamInterceptor(read.intercept))
			w.starts(t, "m")
			want := map[string]push.AppTally{}
			for n := range batches {
				targets := make([]push.Target, push.MaxBatch)
				for i := range targets {
					targets[i] = push.Target{Customer: fmt.Sprintf("c-%d-%d", n, i), Token: fmt.Sprintf("t-%d-%d", n, i), Kind: push.KindToken, App: test.appOf(n, i)}
				}
				b := w.storeBatch(t, "m", n, targets...)
				for i := range b.Results {
					b.Results[i] = []push.Result{push.ResultAccepted, push.ResultAccepted, push.ResultUnregistered}[i%3]
				}
				b.Settled = true
				if err := w.SaveBatch(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				for app, tally := range push.TallyByApp(targets, b.Results) {
					sum := want[app]
					sum.Add(tally)
					want[app] = sum
				}
			}
			if test.spoil != "" {
				w.deleteField(t, "mailings/m/batches/00-000007", test.spoil)
			}
			if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
				t.Fatal(err)
			}

			before := read.n.Load()
			m, err := w.Freeze(t.Context(), "m")
			if err != nil {
				t.Fatal(err)
			}
			if m == nil {
				t.Fatal("the totals are not stored")
			}
			if diff := cmp.Diff(push.AppTotals(want), m.Totals.Apps); diff != "" {
				t.Errorf("the apps (-want +got):\n%s", diff)
			}
			check.Equal(t, read.n.Load()-before > batches, test.allRead, "whether all batches were read, with %d documents", read.n.Load()-before)
		})
	}
}

func (w *harness) deleteField(t *testing.T, path, field string) {
	t.Helper()
	if _, err := w.DB().Doc(path).Update(t.Context(), []firestore.Update{{Path: field, Value: firestore.Delete}}); err != nil {
		t.Fatal(err)
	}
}
