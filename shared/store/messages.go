package store

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// A CustomerMessage is a mailing that was sent to a customer, and what became of
// each token.
type CustomerMessage struct {
	Mailing    *push.Mailing // as a list of mailings has it
	Recipients []push.Recipient
}

const (
	// lookUpsAtOnce is how many mailings are searched for a customer at the same
	// time.
	lookUpsAtOnce = 10
	// keepPast is how long after its creation the batches of a mailing exist at the
	// most: it may be scheduled, live for four weeks, and is kept for a month.
	keepPast = push.MaxAhead + push.MaxLifetime + Keep
)

// CustomerMessages lists the mailings that were sent to a customer, the newest first,
// and returns the token of the next page, "" after the last one. A page is of size
// mailings, of which those that the customer was not in are left out: it may be short
// or empty and have a next one. Mailings are listed as long as their batches exist.
//
// It costs a read for each mailing of the page, one more for each that may have been
// sent to the customer, and two more where a batch ends with the customer.
func (s *Store) CustomerMessages(ctx context.Context, c *push.Customer, size int, token string) ([]CustomerMessage, string, error) {
	mailings, next, err := s.Mailings(ctx, "", "", size, token)
	if err != nil {
		return nil, "", err
	}
	if n := len(mailings); n > 0 && s.now().Sub(mailings[n-1].CreatedAt) > keepPast {
		next = ""
	}

	found := make([][]push.Recipient, len(mailings))
	g, searching := errgroup.WithContext(ctx)
	g.SetLimit(lookUpsAtOnce)
	for i, m := range mailings {
		if m.StartedAt.IsZero() || m.ExpiresAt.Before(c.CreatedAt) || s.now().After(m.ExpiresAt.Add(Keep)) {
			continue
		}
		g.Go(func() (err error) {
			found[i], err = s.recipientsOf(searching, m.ID, c)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, "", classify(err, "searching mailings for a customer")
	}

	var out []CustomerMessage
	for i, m := range mailings {
		if len(found[i]) > 0 {
			out = append(out, CustomerMessage{m, found[i]})
		}
	}
	return out, next, nil
}

// recipientsOf finds the tokens of a customer in the batches of a mailing. A batch
// from before the customer was created is that of a former customer with the same
// id, who was erased.
func (s *Store) recipientsOf(ctx context.Context, mailing string, c *push.Customer) ([]push.Recipient, error) {
	key := push.CustomerKey(c.ID)
	snaps, err := s.batchesWith(ctx, mailing, key, "first", "last", "open", "cutAt", "targets", "recipients", "results")
	if err != nil {
		return nil, err
	}

	var out []push.Recipient
	for _, snap := range snaps {
		found, err := recipientsIn(snap, key, c.CreatedAt)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// batchesWith reads fields, of which one is "last", of the batches of a mailing that
// may have targets of the customer with a key. Batches are ranges of customers' keys,
// in their order: the first that ends with this key or a later one has the customer,
// and the next one, too, if the first ends with the very key.
func (s *Store) batchesWith(ctx context.Context, mailing, key string, fields ...string) ([]*firestore.DocumentSnapshot, error) {
	q := s.mailing(mailing).Collection("batches").OrderBy("last", firestore.Asc).Select(fields...).StartAt(key)
	snaps, err := q.Limit(1).Documents(ctx).GetAll()
	if err != nil || len(snaps) == 0 {
		return nil, err
	}
	if last, _ := snaps[0].DataAt("last"); last == key {
		return q.Limit(maxSpan).Documents(ctx).GetAll()
	}
	return snaps, nil
}

// maxSpan is how many batches the tokens of one customer may be in.
const maxSpan = 2

// recipientsIn finds the tokens of a customer in a stored batch. One that was closed
// without being decoded has none.
func recipientsIn(snap *firestore.DocumentSnapshot, key string, since time.Time) ([]push.Recipient, error) {
	var d batchDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, fmt.Errorf("batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
	}
	if key < d.First || d.CutAt.Before(since) {
		return nil, nil
	}

	recipients := d.Recipients
	if d.Open {
		targets, err := push.DecodeTargets(d.Targets)
		if err != nil {
			return nil, fmt.Errorf("batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
		}
		recipients = push.EncodeRecipients(targets)
	}
	if len(recipients) == 0 {
		return nil, nil
	}
	found, err := push.FindRecipients(recipients, decodeResults(d.Results), key)
	if err != nil {
		return nil, fmt.Errorf("batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
	}
	return found, nil
}
