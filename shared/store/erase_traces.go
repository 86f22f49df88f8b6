package store

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// eraseTraces removes customers from mailings: the texts of mailings to them alone,
// what their phones reported, their entries in the lists of mailings that have not ended, and their targets in
// batches that are not settled. It reports for which of them something is left that
// has to wait.
func (s *Store) eraseTraces(ctx context.Context, xs ...erasure) (left map[string]bool, err error) {
	left = map[string]bool{}
	for _, x := range xs {
		if err := s.eraseMailingTexts(ctx, x); err != nil {
			return nil, err
		}
		if err := s.eraseMessages(ctx, x); err != nil {
			return nil, err
		}
		if err := s.eraseReports(ctx, x); err != nil {
			return nil, err
		}
	}

	snaps, err := s.db.Collection("mailings").Where("active", "==", true).Select("listed", "shards", "createdAt", "hours").Documents(ctx).GetAll()
	if err != nil {
		return nil, err
	}

	for _, snap := range snaps {
		if err := s.eraseTracesInMailing(ctx, snap, xs, left); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// eraseTracesInMailing removes customers from the lists and the batches of a mailing that
// has not ended, unless the mailing was created after the erasure. It records in left the
// customers with a batch that is being sent.
func (s *Store) eraseTracesInMailing(ctx context.Context, snap *firestore.DocumentSnapshot, xs []erasure, left map[string]bool) error {
	var d mailingDoc
	if err := snap.DataTo(&d); err != nil {
		logSkipped(ctx, snap, err) // it would stop every erasure
		return nil
	}
	mailing := snap.Ref.ID
	before := slices.DeleteFunc(slices.Clone(xs), func(x erasure) bool { return d.CreatedAt.After(x.At) })
	if len(before) == 0 {
		return nil
	}

	for n := range d.Listed {
		if err := s.eraseFromList(ctx, s.listDocument(mailing, n), before); err != nil {
			return err
		}
	}
	if d.Shards == 0 {
		return nil
	}

	if err := s.eraseTargetsInBatches(ctx, mailing, s.openBatchesQuery(mailing), before, left); err != nil {
		return err
	}
	if d.Hours != "" {
		if err := s.eraseTargetsInBatches(ctx, mailing, s.waitingBatchesQuery(mailing), before, left); err != nil {
			return err
		}
	}
	return s.eraseInvalidTokens(ctx, mailing, before)
}

// valuesPerQuery is how many values an "in" condition of one query may have.
const valuesPerQuery = 30

// eraseMailingTexts cancels the mailings to this customer alone, and removes their texts, also
// from mailings that have ended.
func (s *Store) eraseMailingTexts(ctx context.Context, x erasure) error {
	for part := range slices.Chunk(append([]string{x.key}, x.Tokens...), valuesPerQuery) {
		q := s.db.Collection("mailings").Where("recipient", "in", part).Select("createdAt")
		snaps, err := q.Documents(ctx).GetAll()
		if err != nil {
			return err
		}
		for _, snap := range snaps {
			var d mailingDoc
			if err := snap.DataTo(&d); err != nil {
				return err
			}
			if d.CreatedAt.After(x.At) {
				continue
			}
			if err := s.eraseMailingText(ctx, snap.Ref.ID); err != nil {
				return err
			}
		}
	}

	return nil
}

// eraseMessages deletes the messages to this customer, sent or not. A call of deliver
// that is sending one cannot store its result any more, which nothing would read. A message to
// a token of the customer that no call has taken yet is found by the token.
func (s *Store) eraseMessages(ctx context.Context, x erasure) error {
	queries := []firestore.Query{s.db.Collection("messages").Where("customer", "==", x.key)}
	for part := range slices.Chunk(x.Tokens, valuesPerQuery) {
		queries = append(queries, s.db.Collection("messages").Where("tokenId", "in", part))
	}

	for _, q := range queries {
		snaps, err := q.Select("createdAt").Documents(ctx).GetAll()
		if err != nil {
			return err
		}
		var g errgroup.Group
		g.SetLimit(searchesAtOnce)
		for _, snap := range snaps {
			if at, _ := snap.DataAt("createdAt"); isTimeAfter(at, x.At) {
				continue // of a customer who came back
			}
			g.Go(func() error {
				_, err := snap.Ref.Delete(ctx)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}

	return nil
}

// isTimeAfter reports whether a field is a time after at.
func isTimeAfter(field any, at time.Time) bool {
	t, ok := field.(time.Time)
	return ok && t.After(at)
}

// eraseMailingText removes the text and the list of a mailing, and cancels it if it has
// not ended.
func (s *Store) eraseMailingText(ctx context.Context, id string) error {
	return s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.mailingDocument(id))
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		m, l, err := decodeMailing(snap)
		if err != nil {
			return err
		}

		for n := range l.parts {
			if err := tx.Delete(s.listDocument(id, n)); err != nil {
				return err
			}
		}
		m.Draft = push.Draft{Message: json.RawMessage(`{}`), Category: m.Category, DryRun: m.DryRun}
		m.Title = ""
		m.Recipient, m.Digest = "", ""
		if !m.State.Final() {
			m.State, m.PausedReason, m.PausedDetail, m.PausedProject, m.PausedFrom = push.Cancelled, "", "", "", ""
		}
		doc, err := encodeMailing(m, listSummary{})
		if err != nil {
			return err
		}
		return tx.Set(s.mailingDocument(id), doc)
	})
}

// eraseFromList removes customers and their tokens from one document of a listed audience.
func (s *Store) eraseFromList(ctx context.Context, ref *firestore.DocumentRef, xs []erasure) error {
	return s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(ref)
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		var d listDoc
		if err := snap.DataTo(&d); err != nil {
			logSkipped(ctx, snap, err)
			return nil
		}

		n := len(d.Customers) + len(d.Tokens)
		d.Customers = slices.DeleteFunc(d.Customers, func(id string) bool { return matchesErasure(xs, push.CustomerKey(id), "") })
		d.Tokens = slices.DeleteFunc(d.Tokens, func(token string) bool { return matchesErasure(xs, "", push.TokenID(token)) })
		if len(d.Customers)+len(d.Tokens) == n {
			return nil
		}
		return tx.Set(ref, d)
	})
}

// matchesErasure reports whether one of the erased customers has that key or token.
func matchesErasure(xs []erasure, key, token string) bool {
	return slices.ContainsFunc(xs, func(x erasure) bool { return x.key == key || slices.Contains(x.Tokens, token) })
}

// eraseTargetsInBatches empties the targets of customers in the batches of a mailing that a query
// finds, which are not settled. It records in left the customers with a batch that is being sent.
func (s *Store) eraseTargetsInBatches(ctx context.Context, mailing string, batches firestore.Query, xs []erasure, left map[string]bool) error {
	snaps, err := batches.Select("first", "last", "createdAt").Documents(ctx).GetAll()
	if err != nil {
		return err
	}

	for _, snap := range snaps {
		var d batchDoc
		if err := snap.DataTo(&d); err != nil {
			logSkipped(ctx, snap, err) // deliver or tick closes it, and so deletes its targets
			continue
		}
		inside := slices.DeleteFunc(slices.Clone(xs), func(x erasure) bool {
			return x.key < d.First || x.key > d.Last || d.CreatedAt.After(x.At.Add(lateBatchTime))
		})
		if len(inside) == 0 {
			continue
		}
		waits, err := s.eraseTargetsInBatch(ctx, push.BatchRef{Mailing: mailing, Batch: snap.Ref.ID}, inside)
		if err != nil {
			return err
		}
		for _, x := range inside {
			left[x.key] = left[x.key] || waits
		}
	}

	return nil
}

// eraseTargetsInBatch empties the targets of customers in a batch without a valid lease; for a
// batch with one it reports true. The places of the targets stay, with their results:
// targets without a result are cancelled.
func (s *Store) eraseTargetsInBatch(ctx context.Context, ref push.BatchRef, xs []erasure) (waits bool, err error) {
	b, err := s.ReadBatch(ctx, ref)
	if push.IsNotFound(err) {
		return false, nil
	}
	if err != nil || b.Settled {
		return false, err
	}

	found := b.EraseTargets(func(customer string) bool { return matchesErasure(xs, push.CustomerKey(customer), "") })
	if !found {
		return false, nil
	}
	if b.Lease.Until.After(s.now()) {
		return true, nil
	}
	targets, err := push.EncodeTargets(b.Targets)
	if err != nil {
		return false, err
	}
	invalid, err := encodeInvalidTokens(b.InvalidTokens)
	if err != nil {
		return false, err
	}
	// The precondition: a call that has leased the batch since has its own copy of the
	// targets. Then the erasure waits for the end of that call.
	_, err = s.batchDocument(ref).Update(ctx, append(tallyUpdates(b), []firestore.Update{
		{Path: "targets", Value: targets}, {Path: "results", Value: encodeResults(b.Results)},
		{Path: "owedFlags", Value: slices.Concat([]int{}, b.OwedFlags)},
		{Path: "invalidTokens", Value: invalid}, {Path: "hasInvalidTokens", Value: invalid != ""},
		{Path: "heldFlags", Value: slices.Concat([]int{}, b.HeldFlags)}, {Path: "held", Value: encodeHeld(b.HeldByCode())},
		{Path: "holding", Value: len(b.HeldFlags) > 0},
	}...), firestore.LastUpdateTime(b.Revision))
	if isPreconditionFailed(err) {
		return true, nil // a call has leased it
	}
	return false, err
}

// eraseInvalidTokens removes customers from the lists of invalid tokens of the settled
// batches of a mailing.
func (s *Store) eraseInvalidTokens(ctx context.Context, mailing string, xs []erasure) error {
	for after := ""; ; {
		id, tokens, err := s.nextInvalidTokens(ctx, mailing, after)
		if errors.Is(err, ErrUndecodable) {
			slog.ErrorContext(ctx, "invalid tokens cannot be decoded and are skipped", "batch", id, "error", err)
			after = id
			continue
		}
		if err != nil || id == "" {
			return err
		}
		after = id
		if !slices.ContainsFunc(tokens, func(d push.InvalidToken) bool { return matchesErasure(xs, push.CustomerKey(d.Customer), "") }) {
			continue
		}
		b, err := s.ReadBatch(ctx, push.BatchRef{Mailing: mailing, Batch: id})
		if err != nil {
			return err
		}
		if !b.Settled {
			continue // eraseTargetsInBatches handles it
		}
		b.EraseTargets(func(customer string) bool { return matchesErasure(xs, push.CustomerKey(customer), "") })
		text, err := encodeInvalidTokens(b.InvalidTokens)
		if err != nil {
			return err
		}
		// The precondition: another erasure may have changed the list.
		_, err = s.batchDocument(b.BatchRef).Update(ctx, []firestore.Update{{Path: "invalidTokens", Value: text}, {Path: "hasInvalidTokens", Value: text != ""}},
			firestore.LastUpdateTime(b.Revision))
		if err != nil && !isPreconditionFailed(err) {
			return err
		}
	}
}
