package rosters

import (
	"context"
	"crypto/rand"
	"fmt"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

const (
	// mostParts is how many documents a roster has at most.
	mostParts = 9
	// emptiedAtOnce is how many rosters one commit empties.
	emptiedAtOnce = 32
)

// Empty empties all rosters, so that the next mailing reads their customers. It writes the first
// document of each also where there is none, as an erasure does: dispatch stores a roster only
// if its first document has not changed since it was read, so a mailing that runs cannot store
// an old one. It costs a write and eight deletes for each roster.
func Empty(ctx context.Context, db *firestore.Client) error {
	for from := 0; from < push.KeyPrefixes; from += emptiedAtOnce {
		err := db.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
			for n := from; n < min(from+emptiedAtOnce, push.KeyPrefixes); n++ {
				if err := emptyRoster(tx, db.Collection("rosters"), push.KeyPrefix(n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("emptying the rosters from %s: %w", push.KeyPrefix(from), err)
		}
	}
	return nil
}

// emptyRoster adds the writes for one roster to a transaction.
func emptyRoster(tx *firestore.Transaction, rosters *firestore.CollectionRef, prefix string) error {
	for part := 1; part < mostParts; part++ {
		if err := tx.Delete(rosters.Doc(fmt.Sprintf("%s-%d", prefix, part))); err != nil {
			return err
		}
	}
	// A write that changes nothing would keep the revision of a roster that is empty already.
	return tx.Set(rosters.Doc(prefix), map[string]any{"write": rand.Text()})
}
