package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// phone registers a token of a customer and returns it as a target.
func (w *harness) phone(t *testing.T, customer, token string) push.Target {
	t.Helper()
	w.register(t, customer, token)
	return push.Target{Customer: customer, Token: token, Kind: push.KindToken, Platform: push.Android, App: "shop"}
}

// report is a report that happens now.
func (w *harness) report(of, token string, typ push.ReportType) push.Report {
	return push.Report{Of: of, TokenID: push.TokenID(token), Type: typ, At: w.clock.Now()}
}

// publishNothing fails, so that openings go to the outbox.
func publishNothing(context.Context, ...push.Event) error {
	return errors.New("nothing is published")
}

// reports records reports and has to get that result. It returns their events.
func (w *harness) reports(t *testing.T, counted, repeated, unknown int, list ...push.Report) []push.Event {
	t.Helper()
	got, err := w.RecordReports(t.Context(), list, publishNothing)
	if err != nil {
		t.Fatalf("recording %d reports: %v", len(list), err)
	}
	if d := cmp.Diff(push.ReportResult{Counted: counted, Repeated: repeated, Unknown: unknown}, got.ReportResult); d != "" {
		t.Errorf("the result of %d reports (-want +got):\n%s", len(list), d)
	}
	return got.Events
}

// reported has to be what phones reported of a mailing.
func (w *harness) reported(t *testing.T, id string, delivered, opened, dismissed int64) {
	t.Helper()
	m, err := w.ReadMailingHeader(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.CountReports(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(push.Reported{Delivered: delivered, Opened: opened, Dismissed: dismissed}, got.Reported); d != "" {
		t.Errorf("reported of mailing %s (-want +got):\n%s", id, d)
	}
}

// TestReportsOfTargetsCountOnce: what was sent counts once for each type, whether the
// batch is open or settled; nothing else counts.
func TestReportsOfTargetsCountOnce(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	targets := sortedByKey([]push.Target{w.phone(t, "c1", "token-1"), w.phone(t, "c2", "token-2"), w.phone(t, "c3", "token-3")})
	first, second, third := targets[0], targets[1], targets[2]
	w.phone(t, first.Customer, "no-target")
	w.starts(t, "m1")
	w.storeBatch(t, "m1", 0, first)
	w.settles(t, "m1", 1, second, third)
	w.drafts(t, "m2", "Hi", push.Audience{Everyone: true}) // it has not started

	for _, c := range []struct {
		name                       string
		of, token, customer        string
		typ                        push.ReportType
		counted, repeated, unknown int
	}{
		{name: "of an open batch", of: "m1", token: first.Token, typ: push.ReportDelivered, counted: 1},
		{name: "again", of: "m1", token: first.Token, typ: push.ReportDelivered, repeated: 1},
		{name: "another type", of: "m1", token: first.Token, typ: push.ReportOpened, counted: 1},
		{name: "of a settled batch", of: "m1", token: second.Token, typ: push.ReportOpened, counted: 1},
		{name: "with the customer", of: "m1", token: third.Token, customer: third.Customer, typ: push.ReportDismissed, counted: 1},
		{name: "with another customer", of: "m1", token: third.Token, customer: second.Customer, typ: push.ReportOpened, unknown: 1},
		{name: "with an unknown customer", of: "m1", token: third.Token, customer: "dan", typ: push.ReportOpened, unknown: 1},
		{name: "a token that was no target", of: "m1", token: "no-target", typ: push.ReportOpened, unknown: 1},
		{name: "an unknown token", of: "m1", token: "nobody's", typ: push.ReportOpened, unknown: 1},
		{name: "a mailing that has not started", of: "m2", token: first.Token, typ: push.ReportOpened, unknown: 1},
		{name: "an unknown mailing", of: "m3", token: first.Token, typ: push.ReportOpened, unknown: 1},
		{name: "an unknown message", of: "s3", token: first.Token, typ: push.ReportOpened, unknown: 1},
		{name: "no id at all", of: "m/1", token: first.Token, typ: push.ReportOpened, unknown: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.report(c.of, c.token, c.typ)
			r.Customer = c.customer
			got, err := w.RecordReports(t.Context(), []push.Report{r}, publishNothing)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if want := (push.ReportResult{Counted: c.counted, Repeated: c.repeated, Unknown: c.unknown}); got.ReportResult != want {
				t.Errorf("%s: %+v, want %+v", c.name, got.ReportResult, want)
			}
		})
	}
	w.reported(t, "m1", 1, 2, 1)
	w.reported(t, "m2", 0, 0, 0)
}

// TestReportsCountExactlyInAnyOrder: many requests at the same time, each event several
// times, among them unknown ones.
func TestReportsCountExactlyInAnyOrder(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.starts(t, "m1")
	var targets []push.Target
	for i := range 40 {
		targets = append(targets, w.phone(t, fmt.Sprint("c", i/2), fmt.Sprint("token-", i)))
	}
	for n := range 4 {
		w.settles(t, "m1", n, sortedByKey(targets)[n*10:(n+1)*10]...)
	}

	var list []push.Report
	opened := 0
	for i := range targets {
		of := w.report("m1", fmt.Sprint("token-", i), push.ReportDelivered)
		list = append(list, of, of, of)
		if i%3 == 0 {
			opened++
			of.Type = push.ReportOpened
			list = append(list, of, of)
		}
		list = append(list, w.report("m1", fmt.Sprint("stray-", i), push.ReportOpened))
	}
	rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })

	var g errgroup.Group
	counted := make([]int, 8)
	for i := range counted {
		g.Go(func() error {
			n, err := w.RecordReports(t.Context(), list[i*len(list)/8:(i+1)*len(list)/8], publishNothing)
			counted[i] = n.Counted
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range counted {
		sum += n
	}
	if want := len(targets) + opened; sum != want {
		t.Errorf("the requests counted %d, want %d", sum, want)
	}
	w.reported(t, "m1", int64(len(targets)), int64(opened), 0)
}

// TestReportsOfVariants: each counts for the variant that the target got, and all are
// the whole.
func TestReportsOfVariants(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	d := push.Draft{Audience: push.Audience{Everyone: true}, Name: "Spring", Tags: []string{"sale"}}
	for _, name := range []string{"a", "b"} {
		d.Variants = append(d.Variants, push.Variant{Name: name, Share: 0.5, Message: json.RawMessage(`{"data":{"a":"b"}}`)})
	}
	if _, _, err := w.CreateMailing(t.Context(), push.NewMailing("m1", "digest", d, w.clock.Now())); err != nil {
		t.Fatal(err)
	}
	sh := w.begin(t, "m1")
	anna, ben := w.phone(t, "anna", "anna-1"), w.phone(t, "ben", "ben-1")
	ben.Variant = 1
	targets := sortedByKey([]push.Target{anna, ben})
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: "m1", Batch: "00-000000"}, CreatedAt: w.clock.Now(), Variants: 2, Targets: targets, Results: make([]push.Result, 2)}
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}

	owed := w.Count("outbox")
	events := w.reports(t, 3, 0, 0, w.report("m1", "anna-1", push.ReportDelivered), w.report("m1", "ben-1", push.ReportDelivered), w.report("m1", "ben-1", push.ReportOpened))
	m, err := w.ReadMailingHeader(t.Context(), "m1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.CountReports(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	want := push.ReportCounts{Reported: push.Reported{Delivered: 2, Opened: 1}, Variants: []push.Reported{{Delivered: 1}, {Delivered: 1, Opened: 1}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the counts (-want +got):\n%s", d)
	}

	opened := push.OpenedData{Mailing: "m1", Name: "Spring", Tags: []string{"sale"}, Variant: "b", Customer: "ben", TokenID: push.TokenID("ben-1"), Platform: push.Android, App: "shop", At: w.clock.Now().UTC()}
	if len(events) != 1 {
		t.Fatalf("%d events, want message.opened alone: %+v", len(events), events)
	}
	if d := cmp.Diff(push.Event{ID: push.ReportID("m1", push.TokenID("ben-1")) + "-opened", Type: push.MessageOpened, Subject: "customers/ben", Time: opened.At, Data: opened}, events[0]); d != "" {
		t.Errorf("the event (-want +got):\n%s", d)
	}
	if n := w.Count("outbox") - owed; n != 1 {
		t.Errorf("%d more events in the outbox, want 1", n)
	}
}

// An opening is published before it is counted, and is stored in the outbox only if that
// fails. A repeated one is not published again.
func TestOpeningsArePublishedBeforeTheyCount(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.starts(t, "m1")
	w.settles(t, "m1", 0, sortedByKey([]push.Target{w.phone(t, "anna", "anna-1"), w.phone(t, "ben", "ben-1")})...)
	stored := w.Count("outbox")
	var published []string
	publish := func(ctx context.Context, events ...push.Event) error {
		w.reported(t, "m1", 0, int64(len(published)), 0)
		for _, e := range events {
			published = append(published, e.ID)
		}
		if _, limited := ctx.Deadline(); !limited {
			t.Error("publishing has no timeout while a transaction waits for it")
		}
		return nil
	}

	opening := w.report("m1", "anna-1", push.ReportOpened)
	for range 2 {
		got, err := w.RecordReports(t.Context(), []push.Report{opening}, publish)
		if err != nil {
			t.Fatalf("recording an opening: %v", err)
		}
		if len(got.Events) > 0 {
			t.Errorf("the outbox has %d events of an opening that is published: %+v", len(got.Events), got.Events)
		}
	}
	if diff := cmp.Diff([]string{push.ReportID("m1", push.TokenID("anna-1")) + "-opened"}, published); diff != "" {
		t.Errorf("the published events differ (-want +got):\n%s", diff)
	}
	check.Equal(t, w.Count("outbox"), stored, "the number of events in the outbox")

	if events := w.reports(t, 1, 0, 0, w.report("m1", "ben-1", push.ReportOpened)); len(events) != 1 {
		t.Errorf("an opening that cannot be published has %d events, want 1: %+v", len(events), events)
	}
	check.Equal(t, w.Count("outbox"), stored+1, "the number of events in the outbox after one that could not be published")
	w.reported(t, "m1", 0, 2, 0)
}

// TestReportsOfAMessage to one customer, also those that come before its targets are
// stored.
func TestReportsOfAMessage(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.phone(t, "anna", "anna-1")
	w.phone(t, "ben", "ben-1")
	m := w.messageTo(t, "s1", push.MessageDraft{Customer: "anna"})
	w.reports(t, 1, 0, 2, w.report("s1", "anna-1", push.ReportDelivered), w.report("s1", "ben-1", push.ReportDelivered), w.report("s1", "anna-9", push.ReportDelivered))
	m.PickTargets(w.customer(t, "anna"), push.DefaultSettings(), nil, w.clock.Now())
	m.Batch.ClosePending(push.ResultAccepted)
	m.Batch.Settled = true
	if err := w.SaveMessage(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.phone(t, "anna", "anna-2") // it was not for this one
	w.clock.Add(time.Hour)
	w.reports(t, 1, 1, 1, w.report("s1", "anna-1", push.ReportDelivered), w.report("s1", "anna-1", push.ReportOpened), w.report("s1", "anna-2", push.ReportOpened))

	m, err := w.ReadMessage(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.CountMessageReports(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if want := (push.Reported{Delivered: 1, Opened: 1}); got != want {
		t.Errorf("reported %+v, want %+v", got, want)
	}
	if at := m.Recipients[0].Opened; !at.Equal(w.clock.Now()) {
		t.Errorf("opened at %v, want %v", at, w.clock.Now())
	}
}

// TestTimesOfReportsAreBetweenSendingAndNow: the clock of a phone may be wrong.
func TestTimesOfReportsAreBetweenSendingAndNow(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	sent := w.clock.Now()
	w.starts(t, "m1")
	w.settles(t, "m1", 0, w.phone(t, "anna", "anna-1"))
	w.clock.Add(time.Hour)
	r := w.report("m1", "anna-1", push.ReportOpened)
	r.At = sent.Add(-24 * time.Hour)
	events := w.reports(t, 1, 0, 0, r)
	if len(events) != 1 {
		t.Fatalf("the events: %d entries, want %v: %+v", len(events), 1, events)
	}
	check.Equal(t, events[0].Time, sent, "the events: events[0].Time")
}

// sortedByKey returns targets in the order of their customers' keys, as batches have
// them.
func sortedByKey(list []push.Target) []push.Target {
	out := append([]push.Target{}, list...)
	for i := range out {
		for k := i; k > 0 && push.CustomerKey(out[k].Customer) < push.CustomerKey(out[k-1].Customer); k-- {
			out[k], out[k-1] = out[k-1], out[k]
		}
	}
	return out
}
