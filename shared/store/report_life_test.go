package store_test

import (
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestReportCountsAsActivity: a silent customer whose phone reports is reachable, and
// further reports of a day write nothing more.
func TestReportCountsAsActivity(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.starts(t, "m1")
	w.settles(t, "m1", 0, w.phone(t, "anna", "anna-1"))
	w.clock.Add(20 * 24 * time.Hour)
	w.reports(t, 1, 0, 0, w.report("m1", "anna-1", push.ReportDismissed))
	if at := w.tokenOf(t, "anna", "anna-1").ReportedAt; !at.IsZero() {
		t.Errorf("a dismissal counts as activity at %v", at)
	}
	w.reports(t, 1, 0, 0, w.report("m1", "anna-1", push.ReportDelivered))
	delivered := w.clock.Now()
	w.clock.Add(time.Hour)
	w.reports(t, 1, 0, 0, w.report("m1", "anna-1", push.ReportOpened))
	if at := w.tokenOf(t, "anna", "anna-1").ReportedAt; !at.Equal(delivered) {
		t.Errorf("the last activity is at %v, want %v: once a day is enough", at, delivered)
	}

	w.clock.Add(20 * 24 * time.Hour)
	if a := w.customer(t, "anna").AvailabilityAt(w.clock.Now()); a.State != push.StateReachable {
		t.Errorf("20 days after the report anna is %s, want reachable", a.State)
	}
	w.expire(t)
	w.clock.Add(11 * 24 * time.Hour)
	if a := w.customer(t, "anna").AvailabilityAt(w.clock.Now()); a.State != push.StateSilent {
		t.Errorf("31 days after the report anna is %s, want silent", a.State)
	}
}

// TestReportEndsSilence: a customer who was published as silent is published as
// reachable.
func TestReportEndsSilence(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	target := w.phone(t, "anna", "anna-1")
	w.clock.Add(32 * 24 * time.Hour)
	w.expire(t)
	if s := w.customer(t, "anna").Reported.State; s != push.StateSilent {
		t.Fatalf("anna is %s, want silent", s)
	}
	w.starts(t, "m1")
	w.settles(t, "m1", 0, target)
	events := w.reports(t, 1, 0, 0, w.report("m1", "anna-1", push.ReportDelivered))
	if len(events) != 1 {
		t.Fatalf("the events: %d entries, want %v: %+v", len(events), 1, events)
	}
	check.MustEqual(t, events[0].Type, push.AvailabilityChanged, "the events: events[0].Type")
	if s := w.customer(t, "anna").Reported.State; s != push.StateReachable {
		t.Errorf("anna is %s, want reachable", s)
	}
}

// TestReportsOfAnErasedCustomer: the counts stay, and nothing leads to the customer.
// Phones of the customer, also of one who comes back, report nothing about it any more.
func TestReportsOfAnErasedCustomer(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.starts(t, "m1")
	w.settles(t, "m1", 0, w.phone(t, "anna", "anna-1"), w.phone(t, "ben", "ben-1"))
	w.reports(t, 3, 0, 0, w.report("m1", "anna-1", push.ReportDelivered), w.report("m1", "anna-1", push.ReportOpened), w.report("m1", "ben-1", push.ReportDelivered))
	if _, err := w.EraseCustomer(t.Context(), "anna"); err != nil {
		t.Fatal(err)
	}
	w.reported(t, "m1", 2, 1, 0)
	w.reports(t, 0, 0, 1, push.Report{Of: "m1", Customer: "anna", TokenID: push.TokenID("anna-1"), Type: push.ReportDismissed, At: w.clock.Now()})

	w.clock.Add(time.Minute)
	w.register(t, "anna", "anna-1")
	w.reports(t, 0, 0, 1, w.report("m1", "anna-1", push.ReportDismissed))
	w.reported(t, "m1", 2, 1, 0)
	docs := map[string]map[string]any{}
	w.everything(t, w.DB().Collections(t.Context()), docs)
	for name, d := range docs {
		if !strings.HasPrefix(name, "reports/") {
			continue
		}
		if d["customer"] == push.CustomerKey("anna") {
			t.Errorf("%s still has the customer's key: %v", name, d)
		}
		if name == "reports/"+push.ReportID("m1", push.TokenID("anna-1")) {
			t.Errorf("%s is still stored under the name that the customer's token gave it", name)
		}
	}
}

// TestReportsOfACustomerWhoCameBackStay when tick finishes the erasure of the former
// customer with the same id.
func TestReportsOfACustomerWhoCameBackStay(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "anna-1")
	if _, err := w.EraseCustomer(t.Context(), "anna"); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Minute)
	w.starts(t, "m1")
	w.settles(t, "m1", 0, w.phone(t, "anna", "anna-1"))
	w.reports(t, 1, 0, 0, w.report("m1", "anna-1", push.ReportDelivered))
	w.clock.Add(2 * time.Minute)
	w.expire(t)
	w.reports(t, 0, 1, 0, w.report("m1", "anna-1", push.ReportDelivered))
}

// TestCountsOfReportsOutliveThem: they are frozen before TTL deletes the reports, and
// later reports do not count.
func TestCountsOfReportsOutliveThem(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.starts(t, "m1")
	w.settles(t, "m1", 0, w.phone(t, "anna", "anna-1"))
	w.clock.Add(push.DefaultLifetime + push.ReportsFor - time.Minute)
	w.reports(t, 1, 0, 0, w.report("m1", "anna-1", push.ReportOpened))
	if err := w.FreezeReports(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.reports(t, 1, 0, 0, w.report("m1", "anna-1", push.ReportDelivered)) // nothing is frozen yet
	w.clock.Add(2 * time.Minute)
	w.reports(t, 0, 0, 1, w.report("m1", "anna-1", push.ReportDismissed))
	w.clock.Add(2 * time.Hour)
	if err := w.FreezeReports(t.Context()); err != nil {
		t.Fatal(err)
	}

	w.clock.Add(24 * time.Hour)
	if _, err := w.DB().Doc("reports/" + push.ReportID("m1", push.TokenID("anna-1"))).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.reported(t, "m1", 1, 1, 0)
}
