package tick

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

// tick counts each day once, also after an instance was replaced.
func TestTickCountsEachDayOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.Add(time.Minute)
	w.tick(t)
	w.register(t, "late", push.Android)
	w.tick(t)
	other := newTicker(w.t.Deps)
	if err := other.countDay(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(24 * time.Hour)
	w.tick(t)

	days, err := w.Stats(t.Context(), "2026-01-01", "2026-12-31")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, d := range days {
		got[d.Day] = d.Customers
	}
	if diff := cmp.Diff(map[string]int64{"2026-11-01": 0, "2026-11-02": 1}, got); diff != "" {
		t.Errorf("customers by day (-want +got):\n%s", diff)
	}
}
