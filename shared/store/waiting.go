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
	WaitUntil time.Time // when they begin
	Targets   int
}

// waitingBatches are the batches of a mailing that wait for their hours. The order by
// the field leaves out the documents that do not have it.
func (s *Store) waitingBatches(mailing string) firestore.Query {
	return s.mailing(mailing).Collection("batches").OrderBy("waitUntil", firestore.Asc)
}

// WaitingBatches lists batches of a mailing whose hours begin by a time, at most limit, the
// first to begin first. A document that cannot be decoded is logged and left out.
func (s *Store) WaitingBatches(ctx context.Context, mailing string, until time.Time, limit int) ([]WaitingBatch, error) {
	q := s.waitingBatches(mailing).Where("waitUntil", "<=", until).Limit(limit).Select("lane", "cutAt", "waitUntil", "size")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classify(err, "listing waiting batches of mailing %s", mailing)
	}

	out := make([]WaitingBatch, 0, len(snaps))
	for _, snap := range snaps {
		var d batchDoc
		if err := snap.DataTo(&d); err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		b := OpenBatch{BatchRef: push.BatchRef{Mailing: mailing, Batch: snap.Ref.ID}, Lane: push.Lane(d.Lane), CutAt: d.CutAt, Revision: snap.UpdateTime}
		out = append(out, WaitingBatch{b, timeOrZero(d.WaitUntil), d.Size})
	}
	return out, nil
}

// LastWaiting returns when the last batch of a mailing that waits for its hours may be
// sent, zero if none waits. It costs one read.
func (s *Store) LastWaiting(ctx context.Context, mailing string) (time.Time, error) {
	q := s.mailing(mailing).Collection("batches").OrderBy("waitUntil", firestore.Desc).Limit(1).Select("waitUntil")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil || len(snaps) == 0 {
		return time.Time{}, classify(err, "reading the last waiting batch of mailing %s", mailing)
	}
	at, err := snaps[0].DataAt("waitUntil")
	last, _ := at.(time.Time)
	return last, err
}

// OpenWaiting ends the waiting of a batch: its hours have begun, or its mailing has ended.
// The caller is about to publish a message for it. It reports false, and stores nothing, if
// the batch has changed since it was listed: another call has done the same.
func (s *Store) OpenWaiting(ctx context.Context, b WaitingBatch, at time.Time) (bool, error) {
	up := append(opening(b.WaitUntil), firestore.Update{Path: "publishedAt", Value: at})
	_, err := s.batch(b.BatchRef).Update(ctx, up, firestore.LastUpdateTime(b.Revision))
	if failedPrecondition(err) || missing(err) {
		return false, nil
	}
	return err == nil, classify(err, "opening batch %s of mailing %s", b.Batch, b.Mailing)
}

// opening is the update that ends the waiting of a batch.
func opening(notBefore time.Time) []firestore.Update {
	return []firestore.Update{
		{Path: "open", Value: true}, {Path: "waitUntil", Value: firestore.Delete}, {Path: "notBefore", Value: timeOrNil(notBefore)},
	}
}

// AssignSlots ends the waiting of batches of a mailing that has a rate: each gets its slot
// behind the slots given before, until the next one would not be before a time. Slots and
// batches change in one transaction, so that two calls never give the same slot. It returns
// how many batches got one. If one of them has changed since it was listed, nothing is
// stored and the number is 0: another call has done the same.
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
			if err := tx.Update(s.batch(b.BatchRef), opening(slot), firestore.LastUpdateTime(b.Revision)); err != nil {
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
	case failedPrecondition(err) || missing(err):
		return 0, nil
	}
	return assigned, classify(err, "giving slots to batches of mailing %s", mailing)
}
