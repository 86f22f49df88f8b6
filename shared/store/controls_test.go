package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/store"
)

// TestSuspicionsAreKeptByGroup: beside the controls of the group, which stay.
func TestSuspicionsAreKeptByGroup(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "t")
	controls := []store.ControlToken{{Customer: "anna", Token: "t", Kind: "token"}}
	if err := w.SaveControls(t.Context(), "a", controls, 3); err != nil {
		t.Fatal(err)
	}
	for _, want := range []store.Suspicion{
		{At: w.clock.Now()},
		{Cleared: w.clock.Now().Add(time.Minute)},
		{At: w.clock.Now().Add(time.Hour), Cleared: w.clock.Now().Add(time.Minute)},
	} {
		if err := w.SaveSuspicion(t.Context(), "a", want); err != nil {
			t.Fatal(err)
		}
		got, err := w.ReadSuspicion(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("suspicion (-want +got):\n%s", diff)
		}
	}

	other, err := w.ReadSuspicion(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(store.Suspicion{}, other); diff != "" {
		t.Errorf("another group's suspicion (-want +got):\n%s", diff)
	}
	kept, stored, err := w.ReadControls(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(controls, kept); diff != "" {
		t.Errorf("controls (-want +got):\n%s", diff)
	}
	check.Equal(t, stored, len(controls), "number of stored controls")
}

// TestANewInstanceKeepsStoredControls: it knows one token, and must not replace three by it.
func TestANewInstanceKeepsStoredControls(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	token := func(customer string) store.ControlToken {
		w.register(t, customer, "t-"+customer)
		return store.ControlToken{Customer: customer, Token: "t-" + customer, Kind: "token"}
	}
	anna, bert, carl, dora := token("anna"), token("bert"), token("carl"), token("dora")
	for _, list := range [][]store.ControlToken{{anna}, {bert, anna}, {carl, bert, anna}, {dora}} {
		if err := w.SaveControls(t.Context(), "a", list, 3); err != nil {
			t.Fatal(err)
		}
	}

	kept, stored, err := w.ReadControls(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, kept, []store.ControlToken{dora, carl, bert}, "control tokens after a new instance stored its first one")
	check.Equal(t, stored, 3, "number of stored control tokens")
}
