package store

import (
	"context"
	"log/slog"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// CloseUndecodableBatch settles a batch whose document cannot be decoded, so that its
// mailing can end: every target that the tally does not count is failed. It reads
// the document field by field, and changes nothing of a batch that is settled.
func (s *Store) CloseUndecodableBatch(ctx context.Context, ref push.BatchRef, reason string) error {
	err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.batchDocument(ref))
		if err != nil {
			return err
		}
		fields := snap.Data()
		if open, ok := fields["open"]; !ok || open == false {
			return nil
		}
		return tx.Update(s.batchDocument(ref), closingUpdates(fields, "failed", reason))
	})
	if isNotFound(err) {
		return &push.NotFound{What: "batch", ID: ref.Mailing + "/" + ref.Batch}
	}

	return classifyError(err, "closing batch %s of mailing %s, which cannot be decoded", ref.Batch, ref.Mailing)
}

// CloseStuckBatches closes the open batches of a mailing that ended long ago, so that the
// mailing can end, and returns how many. It does not decode them: a batch that deliver
// could not settle in that time probably cannot be decoded. Targets without a result
// count as expired. Batches with a valid lease stay open.
func (s *Store) CloseStuckBatches(ctx context.Context, mailing string) (int, error) {
	snaps, err := s.openBatchesQuery(mailing).Documents(ctx).GetAll()
	if err != nil {
		return 0, classifyError(err, "listing the stuck batches of mailing %s", mailing)
	}

	closed := 0
	for _, snap := range snaps {
		if until, ok := snap.Data()["leaseUntil"].(time.Time); ok && until.After(s.now()) {
			continue
		}
		// The precondition: a call that has leased the batch since may settle it.
		up := closingUpdates(snap.Data(), "expired", "closed a day after the mailing's lifetime: no call could settle it")
		if _, err := snap.Ref.Update(ctx, up, firestore.LastUpdateTime(snap.UpdateTime)); err != nil {
			if isPreconditionFailed(err) || isNotFound(err) {
				continue // another call has leased it since
			}
			return closed, classifyError(err, "closing stuck batch %s of mailing %s", snap.Ref.ID, mailing)
		}
		slog.ErrorContext(ctx, "a batch that could not be settled is closed", "mailing", mailing, "batch", snap.Ref.ID)
		closed++
	}

	return closed, nil
}

// closingUpdates returns the update that closes a stored batch, whatever its fields hold.
// Its pending targets count as the field pendingAs of the tally. Its owed flags are
// given up.
func closingUpdates(fields map[string]any, pendingAs, reason string) []firestore.Update {
	stored, _ := fields["tally"].(map[string]any)
	size, _ := fields["size"].(int64)
	tally, size := closeTally(stored, size, pendingAs)

	up := []firestore.Update{
		{Path: "tally", Value: tally}, {Path: "size", Value: size}, {Path: "reason", Value: reason},
		{Path: "owedFlags", Value: []int{}}, {Path: "heldFlags", Value: []int{}}, {Path: "held", Value: encodeHeld(nil)},
		{Path: "holding", Value: false}, {Path: "leaseOwner", Value: ""}, {Path: "leaseUntil", Value: nil},
		{Path: "open", Value: firestore.Delete}, {Path: "targets", Value: firestore.Delete},
	}

	if apps := closeAppTallies(fields["appTally"], pendingAs); apps != nil {
		up = append(up, firestore.Update{Path: "appTally", Value: apps})
	}
	for _, name := range []string{"platformTally", "variantTally"} {
		parts, _ := fields[name].(map[string]any)
		if t := closePartTallies(parts, pendingAs); t != nil {
			up = append(up, firestore.Update{Path: name, Value: t})
		}
	}

	return up
}
