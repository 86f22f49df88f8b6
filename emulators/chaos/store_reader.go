package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
)

// archive reads what is stored, beside the functions.
type storeReader struct{ db *firestore.Client }

// storedBatch is a batch as it ended.
type storedBatch struct {
	open    bool
	results []byte
	owed    []any
	reason  string
}

// storedCustomer is what audiences and events go by.
type storedCustomer struct {
	reachable    bool
	availability int64
}

// told reports whether a mailing's end is wholly recorded and told, so that
// nobody looks after it any more.
func (a storeReader) isInactive(ctx context.Context, mailing string) (bool, error) {
	snap, err := a.db.Doc("mailings/" + mailing).Get(ctx)
	if err != nil {
		return false, fmt.Errorf("reading mailing %s: %w", mailing, err)
	}
	active, ok := snap.Data()["active"].(bool)
	return ok && !active, nil
}

// published waits until no event waits in the outbox to be published: one whose
// writer was killed waits for tick.
func (a storeReader) waitForPublished(ctx context.Context) error {
	for ctx.Err() == nil { // when the time is up, something else was too slow
		snaps, err := a.db.Collection("outbox").Limit(1).Documents(ctx).GetAll()
		if err == nil && len(snaps) == 0 {
			return nil
		}
		if !sleep(ctx, time.Second) {
			return fmt.Errorf("events wait in the outbox, and nobody publishes them: %w", errors.Join(err, ctx.Err()))
		}
	}
	return nil
}

func (a storeReader) readBatches(ctx context.Context, mailing string) (map[string]storedBatch, error) {
	snaps, err := a.db.Collection("mailings/" + mailing + "/batches").Documents(ctx).GetAll()
	if err != nil {
		return nil, fmt.Errorf("reading the batches of mailing %s: %w", mailing, err)
	}

	out := map[string]storedBatch{}
	for _, s := range snaps {
		d := s.Data()
		var b storedBatch
		b.open, _ = d["open"].(bool) // gone once settled
		b.results, _ = d["results"].([]byte)
		b.owed, _ = d["owedFlags"].([]any)
		b.reason, _ = d["reason"].(string)
		out[s.Ref.ID] = b
	}

	return out, nil
}

// customers reads every customer, by id.
func (a storeReader) readCustomers(ctx context.Context) (map[string]storedCustomer, error) {
	snaps, err := a.db.Collection("customers").Documents(ctx).GetAll()
	if err != nil {
		return nil, fmt.Errorf("reading the customers: %w", err)
	}

	out := map[string]storedCustomer{}
	for _, s := range snaps {
		d := s.Data()
		id, _ := d["id"].(string)
		var c storedCustomer
		c.reachable, _ = d["reachable"].(bool)
		c.availability, _ = d["availability"].(int64)
		out[id] = c
	}

	return out, nil
}
