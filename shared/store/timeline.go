package store

import (
	"context"
	"errors"
	"time"

	"google.golang.org/api/iterator"

	"carillon.example/shared/push"
)

// pauseDoc is an entry of the field pauses of mailings/{id}.
type pauseDoc struct {
	From   time.Time  `firestore:"from"`
	To     *time.Time `firestore:"to"`
	Reason string     `firestore:"reason"`
}

func encodePauses(pauses []push.Pause) (out []pauseDoc) {
	for _, p := range pauses {
		out = append(out, pauseDoc{p.From, p.To, string(p.Reason)})
	}
	return out
}

func decodePauses(docs []pauseDoc) (out []push.Pause) {
	for _, d := range docs {
		out = append(out, push.Pause{From: d.From, To: d.To, Reason: push.PauseReason(d.Reason)})
	}
	return out
}

// ListSettledBatches reads when the batches of a mailing were settled, in the order of their
// names. It costs one read for each batch. Batches that are not settled, that were settled by
// an earlier version, or that were closed without being decoded are left out.
func (s *Store) ListSettledBatches(ctx context.Context, mailing string) ([]push.SettledBatch, error) {
	snaps := s.mailingDocument(mailing).Collection("batches").Select("settledAt", "limited", "tally").Documents(ctx)
	defer snaps.Stop()

	var out []push.SettledBatch
	for {
		snap, err := snaps.Next()
		if errors.Is(err, iterator.Done) {
			return out, nil
		}
		if err != nil {
			return nil, classifyError(err, "reading when the batches of mailing %s were settled", mailing)
		}

		var d batchDoc
		if err := snap.DataTo(&d); err != nil || d.SettledAt == nil {
			continue
		}
		b := push.SettledBatch{At: *d.SettledAt, Limited: int64(d.Limited)}
		for _, f := range tallyFields {
			b.Tally[f.result] = int64(d.Tally[f.name])
		}
		out = append(out, b)
	}
}
