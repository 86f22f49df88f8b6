package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// encodeWindow writes a window as JSON, "" for none.
func encodeWindow(w *push.Window) string {
	if w == nil {
		return ""
	}
	b, _ := json.Marshal(w) // a struct of texts
	return string(b)
}

// decodeWindow is the reverse of encodeWindow; "" is nil.
func decodeWindow(s string) (w *push.Window, err error) {
	if s == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(s), &w)
	return w, err
}

// WaitingBatch is a batch that waits for the hours of its mailing.
type WaitingBatch struct {
	OpenBatch
	WaitUntil time.Time // when the hours begin
	Targets   int
}

// waitingBatchesQuery finds the batches of a mailing that wait for their hours. A query that
// is ordered by a field leaves out the documents that do not have it.
func (s *Store) waitingBatchesQuery(mailing string) firestore.Query {
	return s.mailingDocument(mailing).Collection("batches").OrderBy("waitUntil", firestore.Asc)
}

// ListWaitingBatches lists batches of a mailing whose hours begin by a time, at most limit, the
// first to begin first. A document that cannot be decoded is logged and left out.
func (s *Store) ListWaitingBatches(ctx context.Context, mailing string, until time.Time, limit int) ([]WaitingBatch, error) {
	q := s.waitingBatchesQuery(mailing).Where("waitUntil", "<=", until).Limit(limit).Select("lane", "createdAt", "waitUntil", "size")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "listing waiting batches of mailing %s", mailing)
	}

	out := make([]WaitingBatch, 0, len(snaps))
	for _, snap := range snaps {
		var d batchDoc
		if err := snap.DataTo(&d); err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		b := OpenBatch{BatchRef: push.BatchRef{Mailing: mailing, Batch: snap.Ref.ID}, Lane: push.Lane(d.Lane), CreatedAt: d.CreatedAt, Revision: snap.UpdateTime}
		out = append(out, WaitingBatch{b, timeOrZero(d.WaitUntil), d.Size})
	}

	return out, nil
}

// ReadLastWaitingTime returns when the last batch of a mailing that waits for its hours may be
// sent, zero if none waits. It costs one read.
func (s *Store) ReadLastWaitingTime(ctx context.Context, mailing string) (time.Time, error) {
	q := s.mailingDocument(mailing).Collection("batches").OrderBy("waitUntil", firestore.Desc).Limit(1).Select("waitUntil")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil || len(snaps) == 0 {
		return time.Time{}, classifyError(err, "reading the last waiting batch of mailing %s", mailing)
	}
	at, err := snaps[0].DataAt("waitUntil")
	last, _ := at.(time.Time)
	return last, err
}

// OpenWaitingBatch ends the waiting of a batch: its hours have begun, or its mailing has ended.
// The caller is about to publish a message for it. The write has the revision that was listed
// as its precondition: it reports false, and stores nothing, if another call was first, so
// that one message is published.
func (s *Store) OpenWaitingBatch(ctx context.Context, b WaitingBatch, at time.Time) (bool, error) {
	up := append(openingUpdates(b.WaitUntil), firestore.Update{Path: "publishedAt", Value: at})
	_, err := s.batchDocument(b.BatchRef).Update(ctx, up, firestore.LastUpdateTime(b.Revision))
	if isPreconditionFailed(err) || isNotFound(err) {
		return false, nil
	}
	return err == nil, classifyError(err, "opening batch %s of mailing %s", b.Batch, b.Mailing)
}

// openingUpdates is the update that ends the waiting of a batch.
func openingUpdates(notBefore time.Time) []firestore.Update {
	return []firestore.Update{
		{Path: "open", Value: true}, {Path: "waitUntil", Value: firestore.Delete}, {Path: "notBefore", Value: timeOrNil(notBefore)},
	}
}

// AssignSlots ends the waiting of batches of a mailing that has a rate. Each batch gets the
// next slot of the mailing, as long as the slot is before a time. The mailing's next slot and
// the batches change in one transaction, so that two calls never give the same slot. It
// returns how many batches got a slot. If one of them has changed since it was listed,
// another call has done the same: then nothing is stored, and the number is 0.
func (s *Store) AssignSlots(ctx context.Context, mailing string, batches []WaitingBatch, until time.Time) (assigned int, err error) {
	_, err = s.updateMailing(ctx, mailing, func(m *push.Mailing, tx *firestore.Transaction) error {
		assigned = 0
		if m.State != push.Sending || m.RateLimit() == 0 {
			return errUnchanged
		}
		slot := m.NextSlot
		if now := s.now(); slot.Before(now) {
			slot = now
		}
		for _, b := range batches {
			if b.WaitUntil.After(slot) {
				slot = b.WaitUntil
			}
			if !slot.Before(until) {
				break
			}
			if err := tx.Update(s.batchDocument(b.BatchRef), openingUpdates(slot), firestore.LastUpdateTime(b.Revision)); err != nil {
				return err
			}
			slot = slot.Add(time.Duration(b.Targets) * time.Minute / time.Duration(m.RateLimit()))
			assigned++
		}
		if assigned == 0 {
			return errUnchanged
		}
		m.NextSlot = slot
		return nil
	})

	switch {
	case errors.Is(err, errUnchanged):
		return 0, nil
	case isPreconditionFailed(err) || isNotFound(err): // another call has changed a batch
		return 0, nil
	}

	return assigned, classifyError(err, "giving slots to batches of mailing %s", mailing)
}
