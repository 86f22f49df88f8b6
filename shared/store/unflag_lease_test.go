package store_test

import (
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestOneCallHasAnUnflag: one call has the lease until its time is over. An unflag
// without a lease is listed as stalled.
func TestOneCallHasAnUnflag(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	w.flagAll(t, "m", 1, 2)
	w.startUnflag(t, "m")
	stalled := func(want int) {
		t.Helper()
		got, err := w.ListStalledUnflags(t.Context())
		if err != nil {
			t.Fatalf("w.ListStalledUnflags: %v", err)
		}
		check.Equal(t, len(got), want, "number of entries in got")
	}
	first, err := w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(5*time.Minute))
	if err != nil {
		t.Fatalf("w.LeaseUnflag: %v", err)
	}
	if first == nil {
		t.Fatal("no lease of the unflag, want one")
	}
	w.clock.Add(4 * time.Minute)
	stalled(0) // a call has it
	if second, err := w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(time.Minute)); err != nil {
		t.Fatalf("leasing while another call has the lease: %v", err)
	} else {
		if second != nil {
			t.Errorf("leasing while another call has the lease: second = %v, want nil", second)
		}
	}

	w.clock.Add(2 * time.Minute)
	stalled(1) // that call crashed
	second, err := w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(time.Minute))
	if err != nil {
		t.Fatalf("w.LeaseUnflag: %v", err)
	}
	if second == nil {
		t.Fatal("no lease of the unflag after the first ended, want one")
	}
	if err := w.SaveUnflagCursor(t.Context(), first, w.clock.Now().Add(time.Minute)); !store.IsRevisionConflict(err) {
		t.Errorf("a call that lost it saved: %v", err)
	}
	p, err := w.ReadUnflagPage(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	second.FinishPage(p)
	if err := w.SaveUnflagCursor(t.Context(), second, time.Time{}); err != nil {
		t.Fatal(err)
	}
	stalled(0) // it has just come further
	if _, err := w.EndUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Hour)
	stalled(0)
	again, err := w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(time.Minute))
	if err != nil {
		t.Fatalf("leasing a completed unflag: %v", err)
	}
	if again != nil {
		t.Errorf("leasing a completed unflag: again = %v, want nil", again)
	}
}
