package store

import (
	"context"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// CloseBroken settles a batch whose document cannot be decoded, so that its
// mailing can end: every target that the tally does not count is failed. It reads
// the document field by field, and changes nothing of a batch that is settled.
func (s *Store) CloseBroken(ctx context.Context, ref push.Ref, reason string) error {
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.batch(ref))
		if err != nil {
			return err
		}
		fields := snap.Data()
		if open, ok := fields["open"]; !ok || open == false {
			return nil
		}

		tally, rest := closedTally(fields)
		return tx.Update(s.batch(ref), []firestore.Update{
			{Path: "tally", Value: tally}, {Path: "size", Value: rest}, {Path: "reason", Value: reason},
			{Path: "owed", Value: []int{}}, {Path: "leaseOwner", Value: ""}, {Path: "leaseUntil", Value: nil},
			{Path: "open", Value: firestore.Delete}, {Path: "targets", Value: firestore.Delete},
		})
	})
	if missing(err) {
		return &push.NotFound{What: "batch", ID: ref.Mailing + "/" + ref.Batch}
	}
	return classify(err, "closing batch %s of mailing %s, which cannot be decoded", ref.Batch, ref.Mailing)
}

// closedTally is the tally of a batch whose pending targets have failed, and how
// many targets it counts.
func closedTally(fields map[string]any) (tally map[string]int64, size int64) {
	stored, _ := fields["tally"].(map[string]any)
	tally = make(map[string]int64, len(tallyFields))
	for _, f := range tallyFields {
		n, _ := stored[f.name].(int64)
		tally[f.name] = n
		size += n
	}
	if all, _ := fields["size"].(int64); all > size {
		tally["failed"] += all - size
		size = all
	}
	return tally, size
}
