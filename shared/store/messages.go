package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// A CustomerMessage is a mailing, or a message to one customer, that was sent to a
// customer, and what became of each token.
type CustomerMessage struct {
	Mailing    *push.Mailing // as a list of mailings has it; nil for a message
	Message    *push.Message // nil for a mailing
	Recipients []push.Recipient
}

const (
	// searchesAtOnce is how many mailings are searched for a customer at the same
	// time.
	searchesAtOnce = 10
	// keepMailingAtMost is how long after its creation the batches of a mailing exist at the
	// most: it may be scheduled, has a lifetime of up to four weeks, and is kept for a month.
	keepMailingAtMost = push.MaxAhead + push.MaxLifetime + KeepBatches
)

// ListCustomerMessages lists the mailings and messages that were sent to a customer, the
// newest first, and returns the token of the next page, "" after the last one. A page looks
// at size mailings and messages and leaves out the mailings that the customer was not in, so
// it may be short or empty although there is a next one. Mailings are listed as long as
// their batches exist.
//
// It costs a read for each mailing and message of the page, one more for each mailing
// that may have been sent to the customer, and two more where a batch ends with the
// customer. What was opened costs a read for each token.
func (s *Store) ListCustomerMessages(ctx context.Context, c *push.Customer, size int, token string) ([]CustomerMessage, string, error) {
	mailings, more, err := s.ListMailings(ctx, "", "", size, token)
	if err != nil {
		return nil, "", err
	}
	if n := len(mailings); n > 0 && s.now().Sub(mailings[n-1].CreatedAt) > keepMailingAtMost {
		more = ""
	}
	messages, err := s.listMessagesOf(ctx, c, size+1, token)
	if err != nil {
		return nil, "", err
	}

	list := mergeByTime(mailings, messages)
	next := ""
	if len(list) > size || more != "" {
		list = list[:min(size, len(list))]
		next = encodePageToken(list[len(list)-1].position())
	}
	if list, err = s.findRecipients(ctx, c, list); err != nil {
		return nil, "", err
	}
	return list, next, s.addOpeningsToList(ctx, list)
}

// addOpeningsToList gives the recipients of each mailing and message the times of their
// openings.
func (s *Store) addOpeningsToList(ctx context.Context, list []CustomerMessage) error {
	var all []reportedRecipient
	for i := range list {
		m := &list[i]
		for k := range m.Recipients {
			all = append(all, reportedRecipient{m.position().id, &m.Recipients[k]})
		}
	}
	_, err := s.readReports(ctx, all)
	return err
}

// position returns the place of a mailing or message in a list of both.
func (m *CustomerMessage) position() listPosition {
	if m.Message != nil {
		return listPosition{m.Message.CreatedAt, m.Message.ID}
	}
	return listPosition{m.Mailing.CreatedAt, m.Mailing.ID}
}

// mergeByTime puts mailings and messages into one list, the newest first.
func mergeByTime(mailings []*push.Mailing, messages []*push.Message) []CustomerMessage {
	var out []CustomerMessage
	for _, m := range mailings {
		out = append(out, CustomerMessage{Mailing: m})
	}
	for _, m := range messages {
		out = append(out, CustomerMessage{Message: m, Recipients: m.Recipients})
	}
	slices.SortFunc(out, func(a, b CustomerMessage) int {
		x, y := a.position(), b.position()
		return cmp.Or(y.created.Compare(x.created), cmp.Compare(y.id, x.id))
	})
	return out
}

// listMessagesOf lists the messages to one customer, the newest first, without those of a
// former customer with the same id, who was erased.
func (s *Store) listMessagesOf(ctx context.Context, c *push.Customer, limit int, token string) ([]*push.Message, error) {
	q := s.db.Collection("messages").Where("customer", "==", push.CustomerKey(c.ID)).
		OrderBy("createdAt", firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc).Limit(limit)
	if token != "" {
		at, err := decodePageToken(token)
		if err != nil {
			return nil, err
		}
		q = q.StartAfter(at.created, at.id)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "listing the messages to a customer")
	}

	var out []*push.Message
	for _, snap := range snaps {
		m, err := decodeMessage(snap)
		if err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		if !m.CreatedAt.Before(c.CreatedAt) {
			out = append(out, m)
		}
	}

	return out, nil
}

// findRecipients searches the mailings of a list for the customer, and leaves out those
// that the customer was not in.
func (s *Store) findRecipients(ctx context.Context, c *push.Customer, list []CustomerMessage) ([]CustomerMessage, error) {
	g, searching := errgroup.WithContext(ctx)
	g.SetLimit(searchesAtOnce)
	for i := range list {
		m := list[i].Mailing
		if m == nil || m.StartedAt.IsZero() || m.ExpiresAt.Before(c.CreatedAt) || s.now().After(m.ExpiresAt.Add(KeepBatches)) {
			continue
		}
		g.Go(func() (err error) {
			list[i].Recipients, err = s.findRecipientsInMailing(searching, m, c)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, classifyError(err, "searching mailings for a customer")
	}
	return slices.DeleteFunc(list, func(m CustomerMessage) bool { return m.Message == nil && len(m.Recipients) == 0 }), nil
}

// findRecipientsInMailing finds the tokens of a customer in the batches of a mailing. A batch
// from before the customer was created is that of a former customer with the same
// id, who was erased.
func (s *Store) findRecipientsInMailing(ctx context.Context, m *push.Mailing, c *push.Customer) ([]push.Recipient, error) {
	key := push.CustomerKey(c.ID)
	snaps, err := s.readBatchesOfCustomer(ctx, m.ID, key, m.Hours != nil, "first", "last", "open", "waitUntil", "createdAt", "targets", "recipients", "results")
	if err != nil {
		return nil, err
	}

	var out []push.Recipient
	for _, snap := range snaps {
		found, err := findRecipientsInBatch(snap, key, c.CreatedAt)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}

	return out, nil
}

// readBatchesOfCustomer reads fields, of which one is "last", of the batches of a mailing that
// may have targets of the customer with a key. Batches are ranges of customers' keys,
// in their order: the first that ends with this key or a later one has the customer,
// and the next one, too, if the first ends with the very key. Batches by zone have the
// range of all batches of their commit, so that those with the same end are read.
func (s *Store) readBatchesOfCustomer(ctx context.Context, mailing, key string, byZone bool, fields ...string) ([]*firestore.DocumentSnapshot, error) {
	batches := s.mailingDocument(mailing).Collection("batches").Select(fields...)
	q := batches.OrderBy("last", firestore.Asc).StartAt(key)
	snaps, err := q.Limit(1).Documents(ctx).GetAll()
	if err != nil || len(snaps) == 0 {
		return nil, err
	}

	last, _ := snaps[0].DataAt("last")
	switch {
	case byZone:
		return batches.Where("last", "==", last).Documents(ctx).GetAll()
	case last == key:
		return q.Limit(maxBatchesOfCustomer).Documents(ctx).GetAll()
	}

	return snaps, nil
}

// maxBatchesOfCustomer is how many batches the tokens of one customer may be in.
const maxBatchesOfCustomer = 2

// findRecipientsInBatch finds the tokens of a customer in a stored batch. One that was closed
// without being decoded has none.
func findRecipientsInBatch(snap *firestore.DocumentSnapshot, key string, since time.Time) ([]push.Recipient, error) {
	var d batchDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, fmt.Errorf("batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
	}
	if key < d.First || d.CreatedAt.Before(since) {
		return nil, nil
	}

	recipients := d.Recipients
	if !d.isSettled() {
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
