package store

import (
	"context"
	"errors"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// CountReports counts what phones reported of a mailing, for the whole and for each
// variant. It costs three reads for each variant and each 1,000 reports. Frozen counts cost
// none.
func (s *Store) CountReports(ctx context.Context, m *push.Mailing) (push.ReportCounts, error) {
	if m.Reports != nil {
		return *m.Reports, nil
	}
	var out push.ReportCounts
	if m.StartedAt.IsZero() {
		return out, nil
	}

	types := push.ReportTypes()
	counts := make([][]int, max(1, len(m.Variants)))
	g, counting := errgroup.WithContext(ctx)
	g.SetLimit(searchesAtOnce)
	for i := range counts {
		counts[i] = make([]int, len(types))
		for k, t := range types {
			g.Go(func() (err error) {
				counts[i][k], err = s.countDocuments(counting, s.reportCollection().Where(string(t), "==", reportGroup(m.ID, i)))
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return out, classifyError(err, "counting the reports of mailing %s", m.ID)
	}

	for _, n := range counts {
		var one push.Reported
		for k, t := range types {
			one.Add(t, int64(n[k]))
			out.Add(t, int64(n[k]))
		}
		if len(m.Variants) > 0 {
			out.Variants = append(out.Variants, one)
		}
	}

	return out, nil
}

// freezeReportsAfter is how long after the last report the counts are frozen: a call
// that counts one has ended.
const freezeReportsAfter = time.Hour

// FreezeReports stores, with each mailing whose reports are not counted any more, how
// many there were, before TTL deletes them. Call it at least once a day. It costs a read
// for each mailing whose reports ended in the last two days.
func (s *Store) FreezeReports(ctx context.Context) error {
	over := s.now().Add(-push.ReportsFor - freezeReportsAfter)
	q := s.db.Collection("mailings").Where("expiresAt", ">", s.now().Add(-KeepBatches)).Where("expiresAt", "<=", over).
		OrderBy("expiresAt", firestore.Asc).Select("startedAt", "reports")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return classifyError(err, "listing the mailings whose reports are to be frozen")
	}

	var faults []error
	for _, snap := range snaps {
		var d mailingDoc
		if err := snap.DataTo(&d); err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		if d.StartedAt != nil && d.Reports == "" {
			faults = append(faults, s.freezeReportsOf(ctx, snap.Ref.ID))
		}
	}

	return errors.Join(faults...)
}

// freezeReportsOf counts the reports of a mailing and stores the counts with it. The
// counts of an earlier call stay.
func (s *Store) freezeReportsOf(ctx context.Context, id string) error {
	of, err := s.ReadMailingHeader(ctx, id)
	if err != nil {
		return err
	}
	counts, err := s.CountReports(ctx, of)
	if err != nil {
		return err
	}
	_, err = s.updateMailing(ctx, id, func(m *push.Mailing, _ *firestore.Transaction) error {
		if m.Reports != nil {
			return errUnchanged
		}
		m.Reports = &counts
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return classifyError(err, "freezing the reports of mailing %s", id)
}

// CountMessageReports counts what phones reported of a message, and gives its recipients the
// times of their openings. It costs a read for each recipient.
func (s *Store) CountMessageReports(ctx context.Context, m *push.Message) (push.Reported, error) {
	var out push.Reported
	list := make([]reportedRecipient, len(m.Recipients))
	for i := range m.Recipients {
		list[i] = reportedRecipient{m.ID, &m.Recipients[i]}
	}

	docs, err := s.readReports(ctx, list)
	for _, d := range docs {
		for _, t := range push.ReportTypes() {
			if *d.fieldOf(t) != "" {
				out.Add(t, 1)
			}
		}
	}

	return out, err
}

// reportedRecipient is a recipient of a mailing or message.
type reportedRecipient struct {
	of string
	*push.Recipient
}

// readReports reads what phones reported, and gives each recipient the time of its
// opening. It costs a read for each recipient that was not erased.
func (s *Store) readReports(ctx context.Context, list []reportedRecipient) ([]*reportDoc, error) {
	var refs []*firestore.DocumentRef
	var of []*push.Recipient
	for _, r := range list {
		if r.TokenID != "" {
			refs, of = append(refs, s.reportDocument(r.of, r.TokenID)), append(of, r.Recipient)
		}
	}

	var out []*reportDoc
	for len(refs) > 0 {
		n := min(len(refs), 500)
		snaps, err := s.db.GetAll(ctx, refs[:n])
		if err != nil {
			return nil, classifyError(err, "reading %d reports", n)
		}
		for i, snap := range snaps {
			if !snap.Exists() {
				continue
			}
			d := &reportDoc{}
			if err := snap.DataTo(d); err != nil {
				logSkipped(ctx, snap, err)
				continue
			}
			of[i].Opened = timeOrZero(d.OpenedAt)
			out = append(out, d)
		}
		refs, of = refs[n:], of[n:]
	}

	return out, nil
}

// addOpenings gives recipients of a mailing the times of their openings. A mailing
// without any costs one read.
func (s *Store) addOpenings(ctx context.Context, mailing string, list []MailingRecipient) error {
	var groups []string
	for i := range push.MaxVariants {
		groups = append(groups, reportGroup(mailing, i))
	}

	first, err := s.reportCollection().Where("opened", "in", groups).Select("openedAt").Limit(1).Documents(ctx).GetAll()
	if err != nil || len(first) == 0 {
		return classifyError(err, "searching openings of mailing %s", mailing)
	}

	all := make([]reportedRecipient, len(list))
	for i := range list {
		all[i] = reportedRecipient{mailing, &list[i].Recipient}
	}

	_, err = s.readReports(ctx, all)
	return err
}

// eraseReports removes an erased customer from what the customer's phones reported. The
// counts stay: a document with a random name has what was reported, and nothing that leads
// to the customer.
func (s *Store) eraseReports(ctx context.Context, x erasure) error {
	snaps, err := s.reportCollection().Where("customer", "==", x.key).Select("createdAt").Documents(ctx).GetAll()
	if err != nil {
		return err
	}

	var refs []*firestore.DocumentRef
	for _, snap := range snaps {
		if at, _ := snap.DataAt("createdAt"); !isTimeAfter(at, x.At) {
			refs = append(refs, snap.Ref)
		}
	}

	for len(refs) > 0 {
		n := min(len(refs), 200)
		if err := s.anonymizeReports(ctx, refs[:n]); err != nil {
			return err
		}
		refs = refs[n:]
	}

	return nil
}

// anonymizeReports moves reports to documents with random names and without the
// customer, in one transaction: a report is counted once, also if the answer is lost
// and the transaction runs again.
func (s *Store) anonymizeReports(ctx context.Context, refs []*firestore.DocumentRef) error {
	return s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snaps, err := tx.GetAll(refs)
		if err != nil {
			return err
		}
		for _, snap := range snaps {
			if !snap.Exists() {
				continue // an earlier run has done it
			}
			var d reportDoc
			if err := snap.DataTo(&d); err != nil {
				return err
			}
			d.Customer, d.OpenedAt = "", nil
			if err := tx.Create(s.reportCollection().NewDoc(), d); err != nil {
				return err
			}
			if err := tx.Delete(snap.Ref); err != nil {
				return err
			}
		}
		return nil
	})
}
