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

	days, err := w.ListDayStats(t.Context(), "2026-01-01", "2026-12-31")
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

// tick stores with a mailing what phones reported, before the reports are deleted.
func TestTickFreezesTheCountsOfReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := push.NewMailing("m1", "digest", push.Draft{Message: []byte(`{"data":{"a":"b"}}`), Audience: push.Audience{Everyone: true}}, w.clock.Now())
	if _, _, err := w.CreateMailing(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := w.StartMailing(t.Context(), "m1", push.AllDevices, nil, []push.Shard{{Mailing: "m1"}}); err != nil {
		t.Fatal(err)
	}
	w.tick(t)
	w.clock.Add(push.DefaultLifetime + push.ReportsFor + 2*time.Hour)
	w.tick(t)

	got, err := w.ReadMailingHeader(t.Context(), "m1")
	if err != nil {
		t.Fatal(err)
	}
	if got.Reports == nil {
		t.Error("the counts of the mailing's reports are not frozen")
	}
}
