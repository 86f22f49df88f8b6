package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// The counts of a label are the sum of its days and apps. What is fetched again replaces
// what was stored, and days that are not fetched any more stay.
func TestDeliveryDataIsReplacedNotAdded(t *testing.T) {
	t.Parallel()
	c := testcloud.Noon()
	s := store.New(testcloud.New(t).DB(), store.Options{Now: c.Now})
	entry := func(app, day, label string, accepted, delivered int64) push.DeliveryData {
		return push.DeliveryData{App: app, Day: day, Label: label, DeliveryCounts: push.DeliveryCounts{Accepted: accepted, Delivered: delivered, Pending: 1, Dropped: 2}}
	}
	if err := s.RecordDayStats(t.Context(), "2026-11-01"); err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]push.DeliveryData{
		{entry("shop", "2026-10-31", "sale", 10, 8), entry("shop", "2026-11-01", "sale", 100, 50)},
		{entry("shop", "2026-11-01", "sale", 100, 90), entry("pharmacy", "2026-11-01", "sale", 7, 6), entry("shop", "2026-11-01", "", 5, 5)},
		{entry("shop", "2026-11-01", "sale", 100, 90), entry("pharmacy", "2026-11-01", "sale", 7, 6), entry("shop", "2026-11-01", "", 5, 5)},
	} {
		if err := s.SaveDeliveryData(t.Context(), c.Now(), data); err != nil {
			t.Fatal(err)
		}
	}

	got, err := s.ReadDeliveryReport(t.Context(), "sale")
	if err != nil {
		t.Fatal(err)
	}
	want := &push.DeliveryReport{Label: "sale", AsOf: c.Now().UTC(), DeliveryCounts: push.DeliveryCounts{Accepted: 117, Delivered: 104, Pending: 3, Dropped: 6}}
	if diff := cmp.Diff(want, got, cmp.Transformer("utc", time.Time.UTC)); diff != "" {
		t.Errorf("the report of the label differs (-want +got):\n%s", diff)
	}

	days, err := s.ListDayStats(t.Context(), "2026-10-01", "2026-11-30")
	if err != nil {
		t.Fatal(err)
	}
	if len(days) != 1 {
		t.Fatalf("there are statistics of %d days, want only the day that was counted", len(days))
	}
	if diff := cmp.Diff(&push.DeliveryCounts{Accepted: 112, Delivered: 101, Pending: 3, Dropped: 6}, days[0].FCM); diff != "" {
		t.Errorf("the counts of the day differ (-want +got):\n%s", diff)
	}
}

// The time of the last fetch is stored beside the labels, and is not taken for one.
func TestDeliveryDataHasTheTimeOfItsFetch(t *testing.T) {
	t.Parallel()
	s := store.New(testcloud.New(t).DB(), store.Options{})
	checkTime := func(want time.Time) {
		t.Helper()
		got, err := s.ReadDeliveryDataTime(t.Context())
		if err != nil {
			t.Fatalf("reading the time of the last fetch: %v", err)
		}
		if !got.Equal(want) {
			t.Errorf("last fetched at %v, want %v", got, want)
		}
	}
	checkTime(time.Time{})
	first := testcloud.Noon().Now()
	for _, at := range []time.Time{first, first.Add(time.Hour)} {
		if err := s.SaveDeliveryData(t.Context(), at, nil); err != nil {
			t.Fatalf("storing that nothing was reported at %v: %v", at, err)
		}
		checkTime(at)
	}

	report, err := s.ReadDeliveryReport(t.Context(), "fetched")
	if err != nil {
		t.Fatal(err)
	}
	if report != nil {
		t.Errorf("the label \"fetched\" has the report %v, want none", report)
	}
}
