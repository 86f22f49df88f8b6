package store

import (
	"context"
	"log/slog"
	"time"

	"cloud.google.com/go/firestore"
)

// CloseStuck closes the open batches of a mailing that ended long ago, without
// decoding them: what no call of deliver could settle by then has a document that
// does not decode. What they have no result for counts as expired, so that the
// mailing can end. It answers how many it closed. Batches that a call has are left
// alone.
func (s *Store) CloseStuck(ctx context.Context, mailing string) (int, error) {
	snaps, err := s.openBatches(mailing).Documents(ctx).GetAll()
	if err != nil {
		return 0, classify(err, "listing the stuck batches of mailing %s", mailing)
	}
	closed := 0
	for _, snap := range snaps {
		if until, ok := snap.Data()["leaseUntil"].(time.Time); ok && until.After(s.now()) {
			continue
		}
		if _, err := snap.Ref.Update(ctx, closing(snap.Data()), firestore.LastUpdateTime(snap.UpdateTime)); err != nil {
			if stale(err) || missing(err) {
				continue // somebody has it after all
			}
			return closed, classify(err, "closing stuck batch %s of mailing %s", snap.Ref.ID, mailing)
		}
		slog.ErrorContext(ctx, "a batch that could not be settled is closed", "mailing", mailing, "batch", snap.Ref.ID)
		closed++
	}
	return closed, nil
}

// closing is the update that closes a stored batch, whatever its fields are.
func closing(d map[string]any) []firestore.Update {
	stored, _ := d["tally"].(map[string]any)
	tally, known := make(map[string]int64, len(tallyFields)), int64(0)
	for _, f := range tallyFields {
		n, _ := stored[f.name].(int64)
		tally[f.name] = n
		known += n
	}
	size, _ := d["size"].(int64)
	size = max(size, known)
	tally["expired"] += size - known

	return []firestore.Update{
		{Path: "open", Value: firestore.Delete}, {Path: "targets", Value: firestore.Delete},
		{Path: "size", Value: size}, {Path: "tally", Value: tally},
		{Path: "reason", Value: "closed a day after the mailing's lifetime: no call could settle it"},
	}
}
