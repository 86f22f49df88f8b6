package store_test

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// demands returns what an instance reads of the others, by rate and without ages.
func demands(t *testing.T, i *store.Instance) []push.Demand {
	t.Helper()
	all, err := i.ReadDemands(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := range all {
		if all[n].Age > 10*time.Second {
			t.Errorf("a demand just stored is %s old", all[n].Age)
		}
		all[n].Age = 0
	}
	slices.SortFunc(all, func(x, y push.Demand) int { return cmp.Compare(x.Rate, y.Rate) })
	return all
}

func TestInstancesHearOfEachOther(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	a, b, c := w.NewInstance(""), w.NewInstance(""), w.NewInstance("")
	little := push.Demand{Rate: 5, Ramp: 0.1}
	all := push.Demand{Rate: 9836, Known: 12, Ramp: 1}
	if err := errors.Join(a.StoreDemand(ctx, all), b.StoreDemand(ctx, all), c.StoreDemand(ctx, little)); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]push.Demand{little, all}, demands(t, a)); diff != "" {
		t.Errorf("a hears (-want +got):\n%s", diff)
	}

	if err := errors.Join(b.StoreDemand(ctx, little), c.DeleteDemand(ctx)); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]push.Demand{little}, demands(t, a)); diff != "" {
		t.Errorf("when b wants less and c has left, a hears (-want +got):\n%s", diff)
	}
	if err := c.DeleteDemand(ctx); err != nil {
		t.Errorf("leaving twice: %v", err)
	}
}

// TestInstancesOfEachProjectAreApart checks that an instance reads the demands for the
// quota of its own project only.
func TestInstancesOfEachProjectAreApart(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	shop, pharmacy := push.Demand{Rate: 9836, Ramp: 1}, push.Demand{Rate: 5, Ramp: 0.1}
	if err := errors.Join(w.NewInstance("").StoreDemand(ctx, shop), w.NewInstance("pharmacy-prod").StoreDemand(ctx, pharmacy)); err != nil {
		t.Fatal(err)
	}
	for project, want := range map[string][]push.Demand{"": {shop}, "pharmacy-prod": {pharmacy}, "kiosk-prod": nil} {
		if diff := gocmp.Diff(want, demands(t, w.NewInstance(project))); diff != "" {
			t.Errorf("an instance of project %q reads (-want +got):\n%s", project, diff)
		}
	}
}

// TestInstancesThatEndedAreForgotten: the demand of an instance that ended without
// deleting it counts for push.DemandLife, and the next reader after that deletes it.
func TestInstancesThatEndedAreForgotten(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	store := func(id string, age time.Duration) {
		t.Helper()
		_, err := w.DB().Doc("instances/"+id).Set(ctx, map[string]any{"rate": 7.0, "at": time.Now().Add(-age)})
		if err != nil {
			t.Fatal(err)
		}
	}
	store("dead", push.DemandLife+time.Second)
	store("forgotten", 2*time.Minute)
	if got := demands(t, w.NewInstance("")); len(got) != 0 {
		t.Errorf("of two that ended it hears %+v", got)
	}
	if n := w.Count("instances"); n != 1 {
		t.Errorf("%d documents are left, want that of the one that may come back", n)
	}
}
