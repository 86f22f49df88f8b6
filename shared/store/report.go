package store

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// reportDoc is reports/{push.ReportID}: what the phone of one target reported.
type reportDoc struct {
	Customer string `firestore:"customer,omitempty"` // the customer's key; an erasure finds the document by it, and removes it

	// What was reported, each as the reportGroup of the target: to count a type is to
	// count the documents with a group in its field.
	Delivered string `firestore:"delivered,omitempty"`
	Opened    string `firestore:"opened,omitempty"`
	Dismissed string `firestore:"dismissed,omitempty"`

	OpenedAt  *time.Time `firestore:"openedAt,omitempty"`
	CreatedAt time.Time  `firestore:"createdAt"`
	ExpireAt  time.Time  `firestore:"expireAt"`
	Write     string     `firestore:"write"` // the writeID of the last change
}

// fieldOf returns the field of a type, nil for an unknown one.
func (d *reportDoc) fieldOf(t push.ReportType) *string {
	switch t {
	case push.ReportDelivered:
		return &d.Delivered
	case push.ReportOpened:
		return &d.Opened
	case push.ReportDismissed:
		return &d.Dismissed
	}
	return nil
}

// reportGroup names the targets of a mailing or message that are counted together:
// those of one variant.
func reportGroup(of string, variant int) string { return of + "/" + variantField(variant) }

func (s *Store) reportCollection() *firestore.CollectionRef { return s.db.Collection("reports") }

func (s *Store) reportDocument(of, tokenID string) *firestore.DocumentRef {
	return s.reportCollection().Doc(push.ReportID(of, tokenID))
}

// RecordedReports is the result of RecordReports.
type RecordedReports struct {
	push.ReportResult
	Events []push.Event // in the outbox until MarkEventsPublished
}

// A PublishEvents function publishes events. It may be called with the same events again.
type PublishEvents func(ctx context.Context, events ...push.Event) error

// publishOpeningsFor is how long a transaction waits until openings are published. Then it
// stores them in the outbox.
const publishOpeningsFor = 2 * time.Second

// addResult adds the counts and events of other reports.
func (n *RecordedReports) addResult(o RecordedReports) {
	n.Counted += o.Counted
	n.Repeated += o.Repeated
	n.Unknown += o.Unknown
	n.Events = append(n.Events, o.Events...)
}

// reportsAtOnce is how many customers of one request are written at the same time.
const reportsAtOnce = 16

// RecordReports counts what phones report, each type once for each target. After an
// error some reports may be recorded, and the result has their events; the caller may
// repeat all of them.
//
// It calls publish with the events of openings before it counts them: this saves the
// write and the deletion of an event in the outbox, about a third of what an opening
// costs. If publish fails, they are stored in the outbox. If counting fails after it, the
// caller repeats the report, and the event has the same id.
//
// A report costs a read of the customer and one of the target's document, a write of it,
// and once a day and token one more write of the customer. Reports without a customer's
// id cost a read for each token. The batches of a mailing are read once for all reports
// about them, and a mailing once an instance. Reports about one target share its read and
// its write.
func (s *Store) RecordReports(ctx context.Context, list []push.Report, publish PublishEvents) (RecordedReports, error) {
	list = slices.Clone(list)
	if err := s.addCustomers(ctx, list); err != nil {
		return RecordedReports{}, err
	}
	found, err := s.findReported(ctx, list)
	if err != nil {
		return RecordedReports{}, err
	}

	byCustomer := map[string][]targetReport{}
	for _, r := range found {
		byCustomer[r.Customer] = append(byCustomer[r.Customer], r)
	}

	sum := RecordedReports{ReportResult: push.ReportResult{Unknown: len(list) - len(found)}}
	var mu sync.Mutex // guards sum and faults
	var faults []error
	var g errgroup.Group
	g.SetLimit(reportsAtOnce)
	for customer, reports := range byCustomer {
		g.Go(func() error {
			n, err := s.recordReportsOf(ctx, customer, reports, publish)
			mu.Lock()
			defer mu.Unlock()
			sum.addResult(n)
			faults = append(faults, classifyError(err, "recording reports of customer %s", push.CustomerKey(customer)))
			return nil
		})
	}
	_ = g.Wait() // it is nil: faults has the errors
	return sum, errors.Join(faults...)
}

// addCustomers gives the reports without a customer the one who has the token. Those
// of unknown tokens stay without one.
func (s *Store) addCustomers(ctx context.Context, list []push.Report) error {
	var ids []string
	for _, r := range list {
		if r.Customer == "" {
			ids = append(ids, r.TokenID)
		}
	}

	if ids = uniqueStrings(ids); len(ids) == 0 {
		return nil
	}

	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		refs[i] = s.tokenDocument(id)
	}

	snaps, err := s.db.GetAll(ctx, refs)
	if err != nil {
		return classifyError(err, "reading whose %d tokens are", len(ids))
	}
	owners := map[string]string{}
	for i, snap := range snaps {
		owners[ids[i]], _ = snap.Data()["customer"].(string)
	}

	for i := range list {
		if list[i].Customer == "" {
			list[i].Customer = owners[list[i].TokenID]
		}
	}

	return nil
}

// recordReportsOf records reports of one customer, in one transaction with their events.
func (s *Store) recordReportsOf(ctx context.Context, customer string, list []targetReport, publish PublishEvents) (n RecordedReports, err error) {
	var ids []string
	for _, r := range list {
		ids = append(ids, push.ReportID(r.Of, r.TokenID))
	}

	ids = uniqueStrings(ids)
	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		refs[i] = s.reportCollection().Doc(id)
	}

	w := newWriteID()
	err = s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		b, err := s.openCustomerTx(tx, w, []string{customer}, nil, refs...)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(b.alsoRead, w.changedLast) {
			return errStored
		}
		b.announceNew, b.storeEvents = true, true
		var openings []push.Event
		if n, openings, err = b.recordReports(b.byID[customer], list); err != nil {
			return err
		}
		if !publishOpenings(ctx, publish, openings) {
			b.events = append(b.events, openings...)
		}
		err = b.writeChanges()
		n.Events = b.events
		return err
	})
	if err != nil {
		return RecordedReports{}, err
	}
	return n, nil
}

// publishOpenings reports whether events of openings are published. One of an earlier run
// of the transaction is published again, with the same id.
func publishOpenings(ctx context.Context, publish PublishEvents, openings []push.Event) bool {
	if len(openings) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, publishOpeningsFor)
	defer cancel()

	err := publish(ctx, openings...)
	if err != nil {
		slog.WarnContext(ctx, "openings are stored in the outbox: they cannot be published now", "events", len(openings), "error", err)
	}
	return err == nil
}

// recordReports writes the documents of the reports, which are alsoRead, and makes the events
// of openings.
func (b *customerTx) recordReports(e *loadedCustomer, list []targetReport) (n RecordedReports, openings []push.Event, err error) {
	docs := map[string]*reportDoc{}
	for _, snap := range b.alsoRead {
		d := &reportDoc{}
		if snap.Exists() {
			if err := snap.DataTo(d); err != nil {
				return n, nil, err
			}
		}
		docs[snap.Ref.ID] = d
	}

	changed := map[string]bool{}
	for _, r := range list {
		if !r.sentTo(e) {
			n.Unknown++
			continue
		}
		id := push.ReportID(r.Of, r.TokenID)
		d := docs[id]
		field := d.fieldOf(r.Type)
		if *field != "" {
			n.Repeated++
			continue
		}

		n.Counted++
		changed[id] = true
		*field = reportGroup(r.Of, r.variant)
		if d.CreatedAt.IsZero() {
			d.Customer, d.CreatedAt, d.ExpireAt = e.DocumentKey(), b.now, r.subject.expireAt
		}
		if r.Type == push.ReportOpened {
			d.OpenedAt = &r.At
			openings = append(openings, r.openedEvent(e))
		}
		b.recordActivity(e, r)
	}

	for id := range changed {
		docs[id].Write = string(b.id)
		if err := b.tx.Set(b.s.reportCollection().Doc(id), docs[id]); err != nil {
			return n, nil, err
		}
	}

	return n, openings, nil
}

// recordActivity stores when the phone was active, if its last activity is at least a day older.
func (b *customerTx) recordActivity(e *loadedCustomer, r targetReport) {
	t, ok := e.FindToken(r.TokenID)
	if !ok || !t.Valid() || !r.Type.ShowsActivity() || r.At.Sub(t.LastActive()) < push.ReportsRefreshed {
		return
	}
	t.ReportedAt = r.At
	e.touched = true
}
