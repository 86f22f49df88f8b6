package store

import (
	"context"
	"log/slog"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// mailingsSearchedPerCall is how many mailings one call of finishErasures searches for the
// recipients of erased customers, for all of them together.
const mailingsSearchedPerCall = 500

// eraseRecipients removes an erased customer from the recipients of settled batches,
// also of mailings that have ended. It continues after the mailing that was searched
// last, and takes the number of searched mailings from budget. It reports whether all
// kept mailings are searched; if not, the cursor is stored.
//
// It costs a read for each mailing that ended less than a month ago. A mailing that has
// batches costs one or three more; one with hours as many as a commit has batches. Each batch
// with the customer costs a write.
func (s *Store) eraseRecipients(ctx context.Context, x erasure, budget *int) (done bool, err error) {
	limit := *budget
	if limit <= 0 {
		return false, nil
	}
	q := s.db.Collection("mailings").Where("expiresAt", ">", s.now().Add(-KeepBatches)).
		OrderBy("expiresAt", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc).
		Select("createdAt", "startedAt", "expiresAt", "hours").Limit(limit)
	if x.After != "" {
		q = q.StartAfter(x.AfterExpiry, x.After)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return false, err
	}
	*budget -= len(snaps)

	g, searching := errgroup.WithContext(ctx)
	g.SetLimit(searchesAtOnce)
	var last time.Time
	for _, snap := range snaps {
		var d mailingDoc
		if err := snap.DataTo(&d); err != nil {
			return false, err
		}
		last = d.ExpiresAt
		if d.StartedAt == nil || d.CreatedAt.After(x.At) {
			continue
		}
		g.Go(func() error { return s.eraseRecipientsInMailing(searching, snap.Ref.ID, d.Hours != "", x) })
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	if len(snaps) < limit {
		return true, nil
	}

	// The precondition: a later erasure of the same customer has its own cursor.
	_, err = s.erasureDocument(x.key).Update(ctx, []firestore.Update{
		{Path: "after", Value: snaps[len(snaps)-1].Ref.ID}, {Path: "afterExpiry", Value: last},
	}, firestore.LastUpdateTime(x.revision))
	if isPreconditionFailed(err) || isNotFound(err) {
		err = nil // the customer was erased again: that erasure starts from the beginning
	}
	return false, err
}

// eraseRecipientsInMailing removes the customer from the recipients of one mailing.
func (s *Store) eraseRecipientsInMailing(ctx context.Context, mailing string, byZone bool, x erasure) error {
	snaps, err := s.readBatchesOfCustomer(ctx, mailing, x.key, byZone, "first", "last", "createdAt")
	if err != nil {
		return err
	}

	for _, snap := range snaps {
		var d batchDoc
		if err := snap.DataTo(&d); err != nil {
			return err
		}
		if x.key < d.First || d.CreatedAt.After(x.At.Add(lateBatchTime)) {
			continue
		}
		if err := s.eraseRecipientsInBatch(ctx, snap.Ref, x.key); err != nil {
			return err
		}
	}

	return nil
}

// eraseRecipientsInBatch removes the customer from the recipients of one batch. A list
// that cannot be decoded is deleted.
func (s *Store) eraseRecipientsInBatch(ctx context.Context, ref *firestore.DocumentRef, key string) error {
	return s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(ref)
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		var d batchDoc
		if err := snap.DataTo(&d); err != nil {
			return err
		}
		if len(d.Recipients) == 0 {
			return nil
		}

		found, err := push.EraseRecipients(d.Recipients, key)
		if err != nil {
			slog.ErrorContext(ctx, "a list of recipients that cannot be decoded is deleted", "batch", ref.ID, "error", err)
			return tx.Update(ref, []firestore.Update{{Path: "recipients", Value: firestore.Delete}})
		}
		if !found {
			return nil
		}
		return tx.Update(ref, []firestore.Update{{Path: "recipients", Value: d.Recipients}})
	})
}
