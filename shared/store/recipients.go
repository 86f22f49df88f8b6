package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// MailingRecipient is one target of a mailing, and what became of it.
type MailingRecipient struct {
	push.Recipient
	Batch    string
	Customer string    // "" if erased, or if the token has left the customer since
	Variant  int       // index of the variant; 0 without variants
	At       time.Time // when the target was chosen
}

// ListRecipients reads the recipients of at most n batches of a mailing, in the order of
// the batches' names, starting after the batch with the name after. An empty list means that
// there are no more. A settled batch has no customers: they are found by their tokens, with
// one read for each. If a phone has reported an opening of the mailing, each costs one more.
func (s *Store) ListRecipients(ctx context.Context, mailing, after string, n int) ([]MailingRecipient, error) {
	q := s.mailingDocument(mailing).Collection("batches").OrderBy(firestore.DocumentID, firestore.Asc).
		Select("open", "waitUntil", "createdAt", "targets", "recipients", "results", "variantOf").Limit(n)
	if after != "" {
		q = q.StartAfter(after)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "reading the recipients of mailing %s after %q", mailing, after)
	}

	var out []MailingRecipient
	for _, snap := range snaps {
		list, err := s.recipientsOfBatch(ctx, snap)
		if err != nil {
			return nil, classifyError(err, "reading the recipients of batch %s of mailing %s", snap.Ref.ID, mailing)
		}
		out = append(out, list...)
	}

	return out, s.addOpenings(ctx, mailing, out)
}

// recipientsOfBatch returns the recipients of a batch. A batch that was closed without
// being decoded has one without any field, so that the caller can continue after it.
func (s *Store) recipientsOfBatch(ctx context.Context, snap *firestore.DocumentSnapshot) ([]MailingRecipient, error) {
	var d batchDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}

	results := decodeResults(d.Results)
	var out []MailingRecipient
	switch {
	case !d.isSettled():
		targets, err := push.DecodeTargets(d.Targets)
		if err != nil || len(targets) != len(results) {
			return nil, fmt.Errorf("%w: %d targets and %d results: %w", ErrUndecodable, len(targets), len(results), err)
		}
		for i, t := range targets {
			r := MailingRecipient{Customer: t.Customer, Recipient: push.Recipient{Kind: t.Kind, Platform: t.Platform, App: t.App, Result: results[i]}}
			if t.Token != "" {
				r.TokenID = push.TokenID(t.Token)
			}
			out = append(out, r)
		}
	case len(d.Recipients) > 0:
		list, err := push.DecodeRecipients(d.Recipients, results)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUndecodable, err)
		}
		if out, err = s.findCustomers(ctx, list); err != nil {
			return nil, err
		}
	}

	if len(out) == 0 {
		out = []MailingRecipient{{}}
	}

	for i := range out {
		out[i].Batch, out[i].At = snap.Ref.ID, d.CreatedAt
		if i < len(d.VariantOf) {
			out[i].Variant = int(d.VariantOf[i])
		}
	}

	return out, nil
}

// findCustomers finds the customers of recipients by their tokens.
func (s *Store) findCustomers(ctx context.Context, list []push.KeyedRecipient) ([]MailingRecipient, error) {
	out := make([]MailingRecipient, len(list))
	for i, r := range list {
		out[i].Recipient = r.Recipient
	}

	var known []int
	for i, r := range list {
		if r.TokenID != "" {
			known = append(known, i)
		}
	}

	for part := range slices.Chunk(known, 500) {
		refs := make([]*firestore.DocumentRef, len(part))
		for k, i := range part {
			refs[k] = s.tokenDocument(list[i].TokenID)
		}
		snaps, err := s.db.GetAll(ctx, refs)
		if err != nil {
			return nil, err
		}
		for k, snap := range snaps {
			customer, _ := snap.Data()["customer"].(string)
			if i := part[k]; customer != "" && list[i].BelongsTo(push.CustomerKey(customer)) {
				out[i].Customer = customer
			}
		}
	}

	return out, nil
}
