package store

import (
	"context"
	"log/slog"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// OpenBatch has what is needed to publish a batch that is not settled.
type OpenBatch struct {
	push.BatchRef
	Lane        push.Lane
	CreatedAt   time.Time
	NotBefore   time.Time // zero: at once
	LeaseUntil  time.Time // zero: no call has leased it, or the last one released it
	PublishedAt time.Time // when the message was published that no call has followed by a lease yet; zero: there is no such message
	Revision    time.Time // the revision that MarkBatchPublished expects
}

// ListOpenBatches lists the batches of a mailing that are not settled. A document that cannot
// be decoded is logged and left out.
func (s *Store) ListOpenBatches(ctx context.Context, mailing string) ([]OpenBatch, error) {
	return s.listOpen(ctx, mailing, s.openBatchesQuery(mailing))
}

// ListBatchesPublishedBy lists the open batches of a mailing, without those whose message was
// published after a time and has no lease yet. Most batches of a large mailing are such ones, and
// they are not read.
func (s *Store) ListBatchesPublishedBy(ctx context.Context, mailing string, by time.Time) ([]OpenBatch, error) {
	// A batch that is leased between the two queries loses its publishedAt, and is in neither list.
	// It is not due before its lease ends.
	unpublished, err := s.listOpen(ctx, mailing, s.openBatchesQuery(mailing).Where("publishedAt", "==", nil))
	if err != nil {
		return nil, err
	}
	published, err := s.listOpen(ctx, mailing, s.openBatchesQuery(mailing).Where("publishedAt", "<=", by))
	return append(unpublished, published...), err
}

// ListHoldingBatches lists the open batches that have held flags.
func (s *Store) ListHoldingBatches(ctx context.Context, mailing string) ([]OpenBatch, error) {
	return s.listOpen(ctx, mailing, s.openBatchesQuery(mailing).Where("holding", "==", true))
}

// listOpen lists the batches of a query, without their targets.
func (s *Store) listOpen(ctx context.Context, mailing string, q firestore.Query) ([]OpenBatch, error) {
	q = q.Select("lane", "createdAt", "notBefore", "leaseUntil", "publishedAt")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "listing open batches of mailing %s", mailing)
	}

	out := make([]OpenBatch, 0, len(snaps))
	for _, snap := range snaps {
		var d batchDoc
		if err := snap.DataTo(&d); err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		out = append(out, OpenBatch{
			BatchRef: push.BatchRef{Mailing: mailing, Batch: snap.Ref.ID}, Lane: push.Lane(d.Lane),
			CreatedAt: d.CreatedAt, NotBefore: timeOrZero(d.NotBefore), LeaseUntil: timeOrZero(d.LeaseUntil),
			PublishedAt: timeOrZero(d.PublishedAt), Revision: snap.UpdateTime,
		})
	}

	return out, nil
}

// logSkipped logs a document that cannot be decoded and is left out of a list, so that it
// affects nothing else.
func logSkipped(ctx context.Context, snap *firestore.DocumentSnapshot, err error) {
	slog.ErrorContext(ctx, "a document cannot be decoded and is skipped", "document", snap.Ref.Parent.ID+"/"+snap.Ref.ID, "error", err)
}

// MarkBatchPublished records that the caller is about to publish a message for a batch. It
// reports false, and stores nothing, if the batch has changed since it was listed:
// another call of tick has published it, or a call of deliver has leased it.
func (s *Store) MarkBatchPublished(ctx context.Context, b OpenBatch, at time.Time) (bool, error) {
	up := []firestore.Update{{Path: "publishedAt", Value: at}}
	_, err := s.batchDocument(b.BatchRef).Update(ctx, up, firestore.LastUpdateTime(b.Revision))
	if isPreconditionFailed(err) || isNotFound(err) {
		return false, nil
	}
	return err == nil, classifyError(err, "marking batch %s of mailing %s as published", b.Batch, b.Mailing)
}

// CountOpenTargets counts the targets in the open batches of a mailing.
func (s *Store) CountOpenTargets(ctx context.Context, mailing string) (int, error) {
	n, err := s.sumSizes(ctx, s.openBatchesQuery(mailing))
	return n, classifyError(err, "adding up the targets in open batches of mailing %s", mailing)
}

// sumSizes counts the targets of the batches that a query finds.
func (s *Store) sumSizes(ctx context.Context, q firestore.Query) (int, error) {
	sums, err := sumFields(ctx, nil, q, "size")
	if err != nil {
		return 0, err
	}
	return int(sums[0]), nil
}
