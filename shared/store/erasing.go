package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// objectionDoc is objections/{key of the customer's id}: an opt-out that outlives
// its customer. Nothing of it but the hash of the id says whose it is.
type objectionDoc struct {
	At time.Time `firestore:"at"` // when the customer was erased
}

// erasureDoc is erasures/{key of the customer's id}: what is left of an erased
// customer is to be looked for, until nothing can be there any more.
type erasureDoc struct {
	Tokens   []string  `firestore:"tokens"` // ids
	At       time.Time `firestore:"at"`
	ExpireAt time.Time `firestore:"expireAt"`
}

// An erasure is an erasureDoc with its customer's key.
type erasure struct {
	key string
	erasureDoc
}

const (
	// stragglers is how long after an erasure a page of the audience that was read
	// before it may still be cut into batches; what is cut later is of a customer
	// who came back.
	stragglers = time.Minute
	// lookAgain is when what is left is looked for once more.
	lookAgain = 2 * stragglers
	// keepErasures is how long it is looked for at most.
	keepErasures = 7 * 24 * time.Hour
	// erasuresAtOnce is how many one call of finishErasures takes.
	erasuresAtOnce = 200
)

func (s *Store) objection(customer string) *firestore.DocumentRef {
	return s.db.Doc("objections/" + push.CustomerKey(customer))
}

func (s *Store) erasure(key string) *firestore.DocumentRef { return s.db.Doc("erasures/" + key) }

// Erase deletes a customer with all tokens, also from the index, and what names
// them in mailings that have not ended; it answers the events that tell it, which
// are in the outbox until Told. That the customer wanted no pushes stays, under
// the hash of the id. What a mailing that has ended found invalid is left to its
// TTL. Erasing somebody who is not known changes no customer, and
// looks for traces all the same.
//
// The customer goes in one transaction, with an order to look for traces. They are
// looked for at once, and by tick once more when every page that was read before
// has been cut. A batch that is being sent is left until it is not: taking it
// from its call would ring others twice.
func (s *Store) Erase(ctx context.Context, customer string) ([]push.Event, error) {
	x := erasure{key: push.CustomerKey(customer), erasureDoc: erasureDoc{At: s.moment()}}
	events, err := s.inBook(ctx, []string{customer}, nil, func(b *book) error {
		e := b.byID[customer]
		if !e.stored {
			return nil
		}
		x.erasureDoc = erasureDoc{At: b.now, ExpireAt: b.now.Add(keepErasures)}
		for len(e.Tokens) > 0 {
			x.Tokens = append(x.Tokens, e.Tokens[0].ID)
			b.drop(e, e.Tokens[0].ID)
		}
		e.erased, e.touched = true, true
		if e.OptedOut {
			if err := b.tx.Set(s.objection(customer), objectionDoc{b.now}); err != nil {
				return err
			}
		}
		return b.tx.Set(s.erasure(x.key), x.erasureDoc)
	})
	if err != nil {
		return nil, classify(err, "erasing customer %s", x.key)
	}

	_, err = s.eraseTraces(ctx, x)
	return events, classify(err, "erasing the traces of customer %s", x.key)
}

// readObjections has those of the customers who are not known opted out whose
// objection was kept over an erasure.
func (b *book) readObjections(ids []string) error {
	var unknown []*entry
	var refs []*firestore.DocumentRef
	for _, id := range ids {
		if e := b.byID[id]; !e.stored {
			unknown, refs = append(unknown, e), append(refs, b.s.objection(id))
		}
	}
	if len(refs) == 0 {
		return nil
	}

	snaps, err := b.tx.GetAll(refs)
	if err != nil {
		return err
	}
	for i, snap := range snaps {
		if !snap.Exists() {
			continue
		}
		e := unknown[i]
		e.OptedOut, e.Objected = true, true
		e.Consents = []push.Consent{{Decision: push.DecisionOut, At: b.now, Source: push.SourceKept}}
	}
	return nil
}

// finishErasures looks once more for what is left of customers who were erased a
// while ago, all of them in one go.
func (s *Store) finishErasures(ctx context.Context) error {
	snaps, err := s.db.Collection("erasures").Limit(erasuresAtOnce).Documents(ctx).GetAll()
	if err != nil {
		return classify(err, "listing erasures")
	}
	var due []erasure
	for _, snap := range snaps {
		x := erasure{key: snap.Ref.ID}
		if err := snap.DataTo(&x.erasureDoc); err != nil {
			return classify(err, "decoding erasure %s", snap.Ref.ID)
		}
		if s.now().Sub(x.At) >= lookAgain {
			due = append(due, x)
		}
	}
	if len(due) == 0 {
		return nil
	}

	left, err := s.eraseTraces(ctx, due...)
	if err != nil {
		return classify(err, "erasing the traces of %d customers", len(due))
	}
	for _, x := range due {
		if left[x.key] {
			continue
		}
		if _, err := s.erasure(x.key).Delete(ctx, firestore.Exists); err != nil && !missing(err) {
			return classify(err, "ending erasure %s", x.key)
		}
	}
	return nil
}

// eraseTraces removes what names customers in mailings: the texts of mailings to
// them alone, their entries in the lists of mailings that have not ended, and
// their targets in batches that are not settled. It answers of whom something is
// left that has to wait.
func (s *Store) eraseTraces(ctx context.Context, xs ...erasure) (left map[string]bool, err error) {
	left = map[string]bool{}
	for _, x := range xs {
		if err := s.eraseTexts(ctx, x); err != nil {
			return nil, err
		}
	}

	snaps, err := s.db.Collection("mailings").Where("active", "==", true).Select("listed", "shards", "createdAt").Documents(ctx).GetAll()
	if err != nil {
		return nil, err
	}
	for _, snap := range snaps {
		var d mailingDoc
		if err := snap.DataTo(&d); err != nil {
			return nil, err
		}
		before := slices.DeleteFunc(slices.Clone(xs), func(x erasure) bool { return d.CreatedAt.After(x.At) })
		if len(before) == 0 {
			continue
		}
		for n := range d.Listed {
			if err := s.unlist(ctx, s.listed(snap.Ref.ID, n), before); err != nil {
				return nil, err
			}
		}
		if d.Shards == 0 {
			continue
		}
		if err := s.blankBatches(ctx, snap.Ref.ID, before, left); err != nil {
			return nil, err
		}
		if err := s.forgetDead(ctx, snap.Ref.ID, before); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// recipientsAtOnce is how many values one query takes.
const recipientsAtOnce = 30

// eraseTexts cancels the mailings that go to this customer alone, and takes their
// messages away, also of those that have ended.
func (s *Store) eraseTexts(ctx context.Context, x erasure) error {
	for part := range slices.Chunk(append([]string{x.key}, x.Tokens...), recipientsAtOnce) {
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
			if err := s.eraseText(ctx, snap.Ref.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) eraseText(ctx context.Context, id string) error {
	return s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.mailing(id))
		if missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		m, listed, err := decodeMailing(snap)
		if err != nil {
			return err
		}

		for n := range listed {
			if err := tx.Delete(s.listed(id, n)); err != nil {
				return err
			}
		}
		m.Draft = push.Draft{Message: json.RawMessage(`{}`), Category: m.Category, DryRun: m.DryRun}
		m.Recipient, m.Digest = "", ""
		if !m.State.Final() {
			m.State, m.PausedBecause, m.PausedFrom = push.Cancelled, "", ""
		}
		doc, err := encodeMailing(m, 0)
		if err != nil {
			return err
		}
		return tx.Set(s.mailing(id), doc)
	})
}

// unlist takes customers and their tokens from a piece of a listed audience.
func (s *Store) unlist(ctx context.Context, ref *firestore.DocumentRef, xs []erasure) error {
	return s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(ref)
		if missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		var d listDoc
		if err := snap.DataTo(&d); err != nil {
			return err
		}

		n := len(d.Customers) + len(d.Tokens)
		d.Customers = slices.DeleteFunc(d.Customers, func(id string) bool { return named(xs, push.CustomerKey(id), "") })
		d.Tokens = slices.DeleteFunc(d.Tokens, func(token string) bool { return named(xs, "", push.TokenID(token)) })
		if len(d.Customers)+len(d.Tokens) == n {
			return nil
		}
		return tx.Set(ref, d)
	})
}

// named reports whether one of the erased customers has that key or token.
func named(xs []erasure, key, token string) bool {
	return slices.ContainsFunc(xs, func(x erasure) bool { return x.key == key || slices.Contains(x.Tokens, token) })
}

// blankBatches blanks the targets of customers in the batches of a mailing that
// are not settled, and notes in left of whom a batch is being sent.
func (s *Store) blankBatches(ctx context.Context, mailing string, xs []erasure, left map[string]bool) error {
	snaps, err := s.openBatches(mailing).Select("first", "last", "cutAt").Documents(ctx).GetAll()
	if err != nil {
		return err
	}
	for _, snap := range snaps {
		var d batchDoc
		if err := snap.DataTo(&d); err != nil {
			return err
		}
		inside := slices.DeleteFunc(slices.Clone(xs), func(x erasure) bool {
			return x.key < d.First || x.key > d.Last || d.CutAt.After(x.At.Add(stragglers))
		})
		if len(inside) == 0 {
			continue
		}
		waits, err := s.blankBatch(ctx, push.Ref{Mailing: mailing, Batch: snap.Ref.ID}, inside)
		if err != nil {
			return err
		}
		for _, x := range inside {
			left[x.key] = left[x.key] || waits
		}
	}
	return nil
}

// blankBatch takes the targets of customers from a batch that nobody is sending;
// it answers true for one that somebody is. The places of the targets stay, with
// their results: those that had none are cancelled.
func (s *Store) blankBatch(ctx context.Context, ref push.Ref, xs []erasure) (waits bool, err error) {
	b, err := s.Batch(ctx, ref)
	if push.IsNotFound(err) {
		return false, nil
	}
	if err != nil || b.Settled {
		return false, err
	}

	found := b.Blank(func(customer string) bool { return named(xs, push.CustomerKey(customer), "") })
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
	dead, err := encodeDead(b.Dead)
	if err != nil {
		return false, err
	}
	_, err = s.batch(ref).Update(ctx, []firestore.Update{
		{Path: "targets", Value: targets}, {Path: "receipts", Value: encodeReceipts(b.Receipts)},
		{Path: "tally", Value: encodeTally(push.TallyOf(b.Receipts))}, {Path: "owed", Value: slices.Concat([]int{}, b.Owed)},
		{Path: "dead", Value: dead}, {Path: "hasDead", Value: dead != ""},
	}, firestore.LastUpdateTime(b.Revision))
	if stale(err) {
		return true, nil // somebody has begun to send it
	}
	return false, err
}

// forgetDead takes customers from the lists of invalid tokens of a mailing's
// settled batches.
func (s *Store) forgetDead(ctx context.Context, mailing string, xs []erasure) error {
	for after := ""; ; {
		id, dead, err := s.nextDead(ctx, mailing, after)
		if err != nil || id == "" {
			return err
		}
		after = id
		if !slices.ContainsFunc(dead, func(d push.Dead) bool { return named(xs, push.CustomerKey(d.Customer), "") }) {
			continue
		}
		b, err := s.Batch(ctx, push.Ref{Mailing: mailing, Batch: id})
		if err != nil {
			return err
		}
		if !b.Settled {
			continue // blankBatches has been there, or comes again
		}
		b.Blank(func(customer string) bool { return named(xs, push.CustomerKey(customer), "") })
		text, err := encodeDead(b.Dead)
		if err != nil {
			return err
		}
		_, err = s.batch(b.Ref).Update(ctx, []firestore.Update{{Path: "dead", Value: text}, {Path: "hasDead", Value: text != ""}},
			firestore.LastUpdateTime(b.Revision))
		if err != nil && !stale(err) {
			return err
		}
	}
}
