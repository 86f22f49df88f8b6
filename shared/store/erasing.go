package store

import (
	"context"
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

	// The last mailing whose settled batches were searched, and when it expires.
	After       string    `firestore:"after,omitempty"`
	AfterExpiry time.Time `firestore:"afterExpiry,omitempty"`
}

// An erasure is an erasureDoc with its customer's key.
type erasure struct {
	key      string
	revision time.Time // of the stored document, zero before it is stored
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

// EraseCustomer deletes a customer with all tokens, also from the index, and what names
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
func (s *Store) EraseCustomer(ctx context.Context, customer string) ([]push.Event, error) {
	x := erasure{key: push.CustomerKey(customer), erasureDoc: erasureDoc{At: s.timestamp()}}
	events, err := s.inCustomerTx(ctx, []string{customer}, nil, func(b *customerTx) error {
		e := b.byID[customer]
		if !e.stored {
			return nil
		}
		x.erasureDoc = erasureDoc{At: b.now, ExpireAt: b.now.Add(keepErasures)}
		for len(e.Tokens) > 0 {
			x.Tokens = append(x.Tokens, e.Tokens[0].ID)
			b.dropToken(e, e.Tokens[0].ID)
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
func (b *customerTx) readObjections(ids []string) error {
	var unknown []*loadedCustomer
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
// while ago, all of them in one go, and then empties their recipients in settled
// batches, some mailings a call.
func (s *Store) finishErasures(ctx context.Context) error {
	snaps, err := s.db.Collection("erasures").Limit(erasuresAtOnce).Documents(ctx).GetAll()
	if err != nil {
		return classify(err, "listing erasures")
	}
	var due []erasure
	for _, snap := range snaps {
		x := erasure{key: snap.Ref.ID, revision: snap.UpdateTime}
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
	budget := searchedACall
	for _, x := range due {
		if left[x.key] {
			continue
		}
		done, err := s.forgetRecipients(ctx, x, &budget)
		if err != nil {
			return classify(err, "erasing the recipients of customer %s", x.key)
		}
		if !done {
			continue
		}
		// A later order of the same customer stays.
		_, err = s.erasure(x.key).Delete(ctx, firestore.LastUpdateTime(x.revision))
		if err != nil && !missing(err) && !failedPrecondition(err) {
			return classify(err, "ending erasure %s", x.key)
		}
	}
	return nil
}
