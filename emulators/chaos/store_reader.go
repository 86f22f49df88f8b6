package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
)

// A storeReader reads Firestore directly, without the functions.
type storeReader struct{ db *firestore.Client }

// A storedBatch is the stored state of a batch after its mailing ended.
type storedBatch struct {
	open    bool
	results []byte
	owed    []any
	reason  string
	invalid string // its invalid tokens as JSON: those whose flags it has set, not those that it dropped
}

// A storedCustomer has the fields that audiences and events depend on.
type storedCustomer struct {
	reachable    bool
	availability int64
}

// isInactive reports whether the end of a mailing is recorded and published. From
// then on tick does not work on the mailing.
func (a storeReader) isInactive(ctx context.Context, mailing string) (bool, error) {
	snap, err := a.db.Doc("mailings/" + mailing).Get(ctx)
	if err != nil {
		return false, fmt.Errorf("reading mailing %s: %w", mailing, err)
	}
	active, ok := snap.Data()["active"].(bool)
	return ok && !active, nil
}

// waitForPublished waits until the outbox is empty. An event stays in the outbox
// until tick if its process was killed before it published the event.
func (a storeReader) waitForPublished(ctx context.Context) error {
	for ctx.Err() == nil { // a context that has ended already is not a fault of the outbox
		snaps, err := a.db.Collection("outbox").Limit(1).Documents(ctx).GetAll()
		if err == nil && len(snaps) == 0 {
			return nil
		}
		if !sleep(ctx, time.Second) {
			return fmt.Errorf("events in the outbox are not published: %w", errors.Join(err, ctx.Err()))
		}
	}
	return nil
}

// readBatches reads the batches of a mailing, by id.
func (a storeReader) readBatches(ctx context.Context, mailing string) (map[string]storedBatch, error) {
	snaps, err := a.db.Collection("mailings/" + mailing + "/batches").Documents(ctx).GetAll()
	if err != nil {
		return nil, fmt.Errorf("reading the batches of mailing %s: %w", mailing, err)
	}

	out := map[string]storedBatch{}
	for _, s := range snaps {
		d := s.Data()
		var b storedBatch
		_, b.open = d["open"] // the field is deleted when the batch is settled
		b.results, _ = d["results"].([]byte)
		b.owed, _ = d["owedFlags"].([]any)
		b.reason, _ = d["reason"].(string)
		b.invalid, _ = d["invalidTokens"].(string)
		out[s.Ref.ID] = b
	}

	return out, nil
}

// readCustomers reads all customers, by id.
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
