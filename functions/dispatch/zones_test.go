package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// office are hours that have begun in Europe at noon of UTC, and neither in Asia nor in
// America.
var office = &push.Window{From: "09:00", To: "18:00", TimeZone: "Europe/Riga"}

// seedZones imports n customers with one token each, who live in the zones in turns.
func (w *harness) seedZones(t *testing.T, n int, zones ...string) {
	t.Helper()
	lines := make([]store.ImportLine, n)
	for i := range lines {
		id, zone := fmt.Sprintf("c%d", i), zones[i%len(zones)]
		lines[i] = store.ImportLine{Customer: id, Patch: push.CustomerPatch{TimeZone: &zone},
			Tokens: []push.Registration{{Kind: push.KindToken, Value: "token of " + id, Platform: push.Android}}}
	}
	refused, _, err := w.ImportCustomers(t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		t.Fatal(err)
	}
}

// batches reads all batches of a mailing: those that wait and those that do not.
func (w *harness) batches(t *testing.T, id string) (out []*push.Batch) {
	t.Helper()
	snaps, err := w.db.Collection("mailings/" + id + "/batches").Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, snap := range snaps {
		b, err := w.ReadBatch(t.Context(), push.BatchRef{Mailing: id, Batch: snap.Ref.ID})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// Each customer is in a batch of the hours of the own time zone: published at once where
// they have begun, else waiting for them. Zones with the same hours share batches.
func TestEachTimeZoneWaitsForItsHours(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seedZones(t, 60, "Europe/Riga", "Europe/Helsinki", "America/New_York", "Asia/Yangon", "")
	w.mailing(t, "m", func(d *push.Draft) { d.Window = office })
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})

	type group struct {
		WaitUntil time.Time
		Targets   int
	}
	got := map[string]group{}
	var ready []string
	for _, b := range w.batches(t, "m") {
		zone := b.Zone
		if zone == "Europe/Helsinki" { // the batch has one of the two names
			zone = "Europe/Riga"
		}
		got[zone] = group{b.WaitUntil.UTC(), got[zone].Targets + len(b.Targets)}
		if b.WaitUntil.IsZero() {
			ready = append(ready, b.Batch)
		} else if !b.PublishedAt.IsZero() {
			t.Errorf("batch %s of %s is published before its hours", b.Batch, b.Zone)
		}
	}
	want := map[string]group{
		"Europe/Riga":      {time.Time{}, 36}, // with Helsinki, and those without a zone
		"America/New_York": {time.Date(2026, 11, 1, 14, 0, 0, 0, time.UTC), 12},
		"Asia/Yangon":      {time.Date(2026, 11, 2, 2, 30, 0, 0, time.UTC), 12},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets and when they may be sent, by zone (-want +got):\n%s", diff)
	}

	var published []string
	for _, ref := range w.refs {
		published = append(published, ref.Batch)
	}
	slices.Sort(published)
	if diff := cmp.Diff(ready, published); diff != "" {
		t.Errorf("published batches (-those that may be sent +got):\n%s", diff)
	}

	m, err := w.ReadMailing(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	totals, err := w.ReadTotals(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, totals.Tokens.Targeted, 60, "tokens targeted")
	check.Equal(t, totals.Tokens.Pending, 60, "tokens pending")
}

// Batches of a mailing with hours are filled across pages: 25 zones do not make 25 small
// batches of each page.
func TestBatchesByZoneAreFilledAcrossPages(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	var zones []string
	for offset := -12; offset <= 12; offset++ {
		zones = append(zones, fmt.Sprintf("Etc/GMT%+d", offset))
	}
	const customers = 5000
	w.seedZones(t, customers, zones...)
	w.mailing(t, "m", func(d *push.Draft) { d.Window = office })
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})

	seen := map[string]int{}
	batches := w.batches(t, "m")
	for _, b := range batches {
		for _, target := range b.Targets {
			seen[target.Token]++
		}
	}
	if len(seen) != customers {
		t.Errorf("%d tokens are in batches, want %d", len(seen), customers)
	}
	for token, n := range seen {
		if n != 1 {
			t.Errorf("%s is in %d batches, want one", token, n)
		}
	}
	if len(batches) > len(zones) {
		t.Errorf("%d customers in %d zones make %d batches, want one a zone", customers, len(zones), len(batches))
	}
}

// A customer's targets are found by the customer's key, although batches by zone overlap,
// and an erasure empties them while they wait.
func TestCustomersAreFoundInBatchesByZone(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seedZones(t, 40, "Europe/Riga", "America/New_York", "Asia/Kolkata", "Asia/Tokyo")
	w.mailing(t, "m", func(d *push.Draft) { d.Window = office })
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})

	for i := range 40 {
		c, err := w.ReadCustomer(t.Context(), fmt.Sprintf("c%d", i))
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := w.ListCustomerMessages(t.Context(), c, 10, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 {
			t.Fatalf("customer %s: number of messages is %v, want 1: %+v", c.ID, len(list), list)
		}
		check.Equal(t, len(list[0].Recipients), 1, "customer %s: number of recipients", c.ID)
	}

	var reports []push.Report
	for i := range 40 {
		id := fmt.Sprintf("c%d", i)
		reports = append(reports, push.Report{Of: "m", Customer: id, TokenID: push.TokenID("token of " + id), Type: push.ReportOpened, At: w.clock.Now()})
	}
	done, err := w.RecordReports(t.Context(), reports, func(context.Context, ...push.Event) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if done.Counted != 40 {
		t.Errorf("of 40 reports of recipients %d were counted", done.Counted)
	}

	if _, err := w.EraseCustomer(t.Context(), "c3"); err != nil { // of Tokyo: waits until the next day
		t.Fatal(err)
	}
	for token := range maps.Keys(w.targets(t, "m")) {
		if token == "token of c3" {
			t.Error("the token of an erased customer is in a batch that is open")
		}
	}
	for _, b := range w.batches(t, "m") {
		for i, target := range b.Targets {
			if target.Token == "token of c3" {
				t.Error("the token of an erased customer is in a batch that waits")
			}
			if target.Token == "" && b.Results[i] != push.ResultCancelled {
				t.Errorf("the erased target has the result %s, want cancelled", b.Results[i])
			}
		}
	}
}

// The hours of a mailing with a rate make all its batches wait: tick gives them slots.
func TestARateMakesBatchesWaitForSlots(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seedZones(t, 100, "Europe/Riga", "America/New_York")
	rate := 600
	w.mailing(t, "m", func(d *push.Draft) { d.Window, d.RatePerMinute = office, &rate })
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})

	if len(w.refs) > 0 {
		t.Errorf("published %v, want none", w.refs)
	}
	if len(w.wakes) == 0 {
		t.Error("tick was not asked for slots")
	}
	waiting, err := w.ListWaitingBatches(t.Context(), "m", w.clock.Now(), 100)
	if err != nil {
		t.Fatal(err)
	}
	targets := 0
	for _, b := range waiting {
		targets += b.Targets
	}
	if targets != 50 {
		t.Errorf("%d targets wait for slots now, want the 50 of Riga", targets)
	}
}

// Who has no hours before the mailing expires is in a batch that deliver settles at once.
func TestNoHoursBeforeTheEnd(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seedZones(t, 10, "Asia/Tokyo")
	hour := push.Duration(time.Hour)
	w.mailing(t, "m", func(d *push.Draft) { d.Window, d.Lifetime = office, &hour })
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})

	if len(w.refs) != 1 {
		t.Errorf("published %v, want one batch", w.refs)
	}
	for _, b := range w.batches(t, "m") {
		if !b.WaitUntil.IsZero() {
			t.Errorf("batch %s waits until %s, which is after the end", b.Batch, b.WaitUntil)
		}
	}
}

// The hours of the settings hold for a mailing that has none, and not for one that is to be
// sent immediately; those that hold are kept with the mailing.
func TestHoursOfTheSettings(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seedZones(t, 4, "Asia/Tokyo")
	set := push.DefaultSettings()
	set.Window = office
	if _, err := w.SaveSettings(t.Context(), set, nil); err != nil {
		t.Fatal(err)
	}
	w.mailing(t, "by-setting", nil)
	w.mailing(t, "immediately", func(d *push.Draft) { d.Immediately = true })
	for _, id := range []string{"by-setting", "immediately"} {
		w.handleUntilDone(t, push.DispatchMessage{Mailing: id, Shard: push.DispatchStart})
	}
	if _, err := w.SaveSettings(t.Context(), push.DefaultSettings(), nil); err != nil {
		t.Fatal(err)
	}

	for id, want := range map[string]*push.Window{"by-setting": office, "immediately": nil} {
		m, err := w.ReadMailing(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m.Hours); diff != "" {
			t.Errorf("the hours of mailing %s (-want +got):\n%s", id, diff)
		}
		for _, b := range w.batches(t, id) {
			if waits := !b.WaitUntil.IsZero(); waits != (want != nil) {
				t.Errorf("a batch of mailing %s waits: %t, want %t", id, waits, want != nil)
			}
		}
	}
}
