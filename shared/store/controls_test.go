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
	if err := w.SaveControls(t.Context(), "a", controls); err != nil {
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
