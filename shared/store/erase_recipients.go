package store

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// mailingsSearchedPerCall is how many mailings one call of finishErasures searches for the
// recipients of erased customers, for all of them together.
const mailingsSearchedPerCall = 500

// eraseRecipients removes erased customers from the recipients of settled batches, also of
// mailings that have ended, and ends the erasures for which all kept mailings are searched.
//
// The erasures go through the mailings together, in passes of many calls: one that comes
// during a pass waits for the next. So a pass searches each mailing once, however many
// erasures there are, and an erasure waits for at most two passes. After a call that could not
// store everything there are several passes at the same time. Passes that fail do not keep a
// new one from starting.
func (s *Store) eraseRecipients(ctx context.Context, xs []erasure) error {
	slices.SortFunc(xs, func(a, b erasure) int {
		return cmp.Or(a.AfterExpiry.Compare(b.AfterExpiry), cmp.Compare(a.After, b.After), cmp.Compare(a.key, b.key))
	})
	n := 0 // how many have not begun
	for n < len(xs) && xs[n].After == "" {
		n++
	}

	moved, faults := false, []error{}
	for begun := xs[n:]; len(begun) > 0; {
		together := 1
		for together < len(begun) && begun[together].After == begun[0].After {
			together++
		}
		err := s.continuePass(ctx, begun[:together])
		moved = moved || err == nil
		faults = append(faults, err)
		begun = begun[together:]
	}

	if moved || n == 0 {
		return errors.Join(append(faults, s.storeErasures(ctx, xs[:n]))...)
	}
	return errors.Join(append(faults, s.continuePass(ctx, xs[:n]))...)
}

// continuePass searches the next mailings for erased customers, all of whom were searched for
// in the same mailings before, and stores how far the pass has come. The customers are in
// the order of their keys.
//
// It costs a read for each mailing that ended less than a month ago. Of a mailing that has
// batches it reads few more batches than there are customers, or all of them if there are fewer.
// Each batch with an erased customer costs a write.
func (s *Store) continuePass(ctx context.Context, xs []erasure) error {
	q := s.db.Collection("mailings").Where("expiresAt", ">", s.now().Add(-KeepBatches)).
		OrderBy("expiresAt", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc).
		Select("createdAt", "startedAt", "expiresAt", "hours").Limit(mailingsSearchedPerCall)
	if xs[0].After != "" {
		q = q.StartAfter(xs[0].AfterExpiry, xs[0].After)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return classifyError(err, "listing the mailings to search for %d erased customers", len(xs))
	}

	g, searching := errgroup.WithContext(ctx)
	g.SetLimit(searchesAtOnce)
	for _, snap := range snaps {
		var d mailingDoc
		if err := snap.DataTo(&d); err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		before := slices.DeleteFunc(slices.Clone(xs), func(x erasure) bool { return d.CreatedAt.After(x.At) })
		if d.StartedAt == nil || len(before) == 0 {
			continue
		}
		g.Go(func() error { return s.eraseRecipientsInMailing(searching, snap.Ref.ID, d.Hours != "", before) })
	}
	if err := g.Wait(); err != nil {
		return classifyError(err, "erasing the recipients of %d customers", len(xs))
	}
	if len(snaps) < mailingsSearchedPerCall {
		return s.endErasures(ctx, xs)
	}

	last := snaps[len(snaps)-1]
	at, _ := last.Data()["expiresAt"].(time.Time) // the query finds only times
	for i := range xs {
		xs[i].After, xs[i].AfterExpiry, xs[i].changed = last.Ref.ID, at, true
	}
	return s.storeErasures(ctx, xs)
}

// storeErasures stores how far erasures have come, of those that have changed.
func (s *Store) storeErasures(ctx context.Context, xs []erasure) error {
	return s.changeErasures(ctx, xs, func(ref *firestore.DocumentRef, x erasure) error {
		if !x.changed {
			return nil
		}
		_, err := ref.Update(ctx, []firestore.Update{
			{Path: "tracesErased", Value: x.TracesErased}, {Path: "after", Value: x.After}, {Path: "afterExpiry", Value: x.AfterExpiry},
		}, firestore.LastUpdateTime(x.revision))
		return err
	})
}

// endErasures deletes erasures.
func (s *Store) endErasures(ctx context.Context, xs []erasure) error {
	return s.changeErasures(ctx, xs, func(ref *firestore.DocumentRef, x erasure) error {
		_, err := ref.Delete(ctx, firestore.LastUpdateTime(x.revision))
		return err
	})
}

// changeErasures calls change for each erasure, some at the same time. change has the
// revision that was listed as its precondition: a later erasure of the same customer
// stays as it is, and starts from the beginning.
func (s *Store) changeErasures(ctx context.Context, xs []erasure, change func(*firestore.DocumentRef, erasure) error) error {
	var g errgroup.Group
	g.SetLimit(searchesAtOnce)
	for _, x := range xs {
		g.Go(func() error {
			err := change(s.erasureDocument(x.key), x)
			if isPreconditionFailed(err) || isNotFound(err) {
				return nil
			}
			return classifyError(err, "storing how far erasure %s has come", x.key)
		})
	}
	return g.Wait()
}

// batchesReadAtOnce is how many batches one query of eraseRecipientsInMailing reads at most.
const batchesReadAtOnce = 300

// eraseRecipientsInMailing removes customers, in the order of their keys, from the recipients
// of one mailing. It reads the batches in the order of their last keys, and passes over those
// without a customer. A batch that cannot be decoded is skipped.
func (s *Store) eraseRecipientsInMailing(ctx context.Context, mailing string, byZone bool, xs []erasure) error {
	batches := s.mailingDocument(mailing).Collection("batches").Select("first", "last", "createdAt").OrderBy("last", firestore.Asc)
	var read []string // the last keys of the batches, in order
	for q := batches.StartAt(xs[0].key); ; {
		limit := min(len(xs)+1, batchesReadAtOnce)
		snaps, err := q.Limit(limit).Documents(ctx).GetAll()
		if err != nil {
			return err
		}
		for _, snap := range snaps {
			if last, ok := snap.Data()["last"].(string); ok {
				read = append(read, last)
			}
			if err := s.eraseRecipientsOf(ctx, snap, xs); err != nil {
				return err
			}
		}

		for len(xs) > 0 && allBatchesRead(read, xs[0].key, byZone) {
			xs = xs[1:]
		}
		if len(snaps) < limit || len(xs) == 0 {
			return nil
		}
		if end := snaps[limit-1]; len(read) > 0 && xs[0].key <= read[len(read)-1] {
			q = batches.StartAfter(end)
		} else {
			q = batches.StartAt(xs[0].key)
		}
	}
}

// allBatchesRead reports whether the batches that may have a customer are among those that were
// read, of which read has the last keys in order. They are those that end with the customer's
// key, and the next one. Of a mailing with hours all batches of a commit end with the same key.
func allBatchesRead(read []string, key string, byZone bool) bool {
	i := slices.IndexFunc(read, func(last string) bool { return last > key })
	return i >= 0 && (!byZone || read[len(read)-1] > read[i])
}

// eraseRecipientsOf removes those of the customers, who are in the order of their keys, from a
// batch that may be in it.
func (s *Store) eraseRecipientsOf(ctx context.Context, snap *firestore.DocumentSnapshot, xs []erasure) error {
	var d batchDoc
	if err := snap.DataTo(&d); err != nil {
		logSkipped(ctx, snap, err)
		return nil
	}

	byKey := func(x erasure, key string) int { return cmp.Compare(x.key, key) }
	i, _ := slices.BinarySearchFunc(xs, d.First, byKey)
	var keys []string
	for ; i < len(xs) && xs[i].key <= d.Last; i++ {
		if !d.CreatedAt.After(xs[i].At.Add(lateBatchTime)) {
			keys = append(keys, xs[i].key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return s.eraseRecipientsInBatch(ctx, snap.Ref, keys)
}

// eraseRecipientsInBatch removes the customers with these keys from the recipients of one
// batch. A list that cannot be decoded is deleted.
func (s *Store) eraseRecipientsInBatch(ctx context.Context, ref *firestore.DocumentRef, keys []string) error {
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
			logSkipped(ctx, snap, err)
			return nil
		}
		if len(d.Recipients) == 0 {
			return nil
		}

		changed := false
		for _, key := range keys {
			found, err := push.EraseRecipients(d.Recipients, key)
			if err != nil {
				slog.ErrorContext(ctx, "a list of recipients that cannot be decoded is deleted", "batch", ref.ID, "error", err)
				return tx.Update(ref, []firestore.Update{{Path: "recipients", Value: firestore.Delete}})
			}
			changed = changed || found
		}
		if !changed {
			return nil
		}
		return tx.Update(ref, []firestore.Update{{Path: "recipients", Value: d.Recipients}})
	})
}
