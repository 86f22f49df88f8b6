package store

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// objectionDoc is objections/{key of the customer}: an opt-out that stays when its
// customer is erased. It identifies the customer only by the hash of the id.
type objectionDoc struct {
	At time.Time `firestore:"at"` // when the customer was erased
}

// erasureDoc is erasures/{key of the customer}: traces of an erased customer are
// still to be removed.
type erasureDoc struct {
	Tokens   []string  `firestore:"tokens"` // ids
	At       time.Time `firestore:"at"`
	ExpireAt time.Time `firestore:"expireAt"`

	// TracesErased is whether the traces were removed once more, so that only the
	// recipients are left.
	TracesErased bool `firestore:"tracesErased,omitempty"`

	// The last mailing whose settled batches were searched, and when it expires.
	After       string    `firestore:"after,omitempty"`
	AfterExpiry time.Time `firestore:"afterExpiry,omitempty"`
}

// An erasure is an erasureDoc with the key of its customer.
type erasure struct {
	key      string
	revision time.Time // of the stored document, zero before it is stored
	changed  bool      // the stored document lacks what finishErasures has done
	erasureDoc
}

const (
	// lateBatchTime is how long after an erasure a page that was read before it may
	// still be put into batches. Later batches belong to a customer who came back.
	lateBatchTime = time.Minute
	// eraseAgainAfter is when traces are removed once more.
	eraseAgainAfter = 2 * lateBatchTime
	// keepErasures is how long the removal of traces is tried at most: until TTL has deleted
	// the last batch that may have the customer.
	keepErasures = push.MaxLifetime + KeepBatches + 24*time.Hour
	// erasuresAtOnce is of how many customers one call of finishErasures removes the traces.
	erasuresAtOnce = 200
	// erasuresListed is how many erasures one call of finishErasures lists. It searches
	// mailings for all of them together.
	erasuresListed = 2000
)

func (s *Store) objectionDocument(customer string) *firestore.DocumentRef {
	return s.db.Doc("objections/" + push.CustomerKey(customer))
}

func (s *Store) erasureDocument(key string) *firestore.DocumentRef {
	return s.db.Doc("erasures/" + key)
}

// EraseCustomer deletes a customer with all tokens, including the index, and the
// customer's data in mailings that have not ended. It returns the events, which are in
// the outbox until MarkEventsPublished. An opt-out is kept under the hash of the id. The
// erasure of an unknown customer changes no customer, but removes traces.
//
// The customer is deleted in one transaction, which also empties the roster and stores
// the erasure document. Traces are removed at once, and once more by tick when every page that was read
// before is in batches. A batch with a valid lease is changed after its call has ended: an
// earlier change would make the save of that call fail, and its messages would be sent twice.
func (s *Store) EraseCustomer(ctx context.Context, customer string) ([]push.Event, error) {
	x := erasure{key: push.CustomerKey(customer), erasureDoc: erasureDoc{At: s.currentTimestamp()}}
	events, err := s.inCustomerTx(ctx, []string{customer}, nil, func(b *customerTx) error {
		e := b.byID[customer]
		if !e.stored {
			return nil
		}
		if err := b.emptyRoster(x.key); err != nil {
			return err
		}
		x.erasureDoc = erasureDoc{At: b.now, ExpireAt: b.now.Add(keepErasures)}
		for len(e.Tokens) > 0 {
			x.Tokens = append(x.Tokens, e.Tokens[0].ID)
			b.dropToken(e, e.Tokens[0].ID)
		}
		e.erased, e.touched = true, true
		if e.OptedOut {
			if err := b.tx.Set(s.objectionDocument(customer), objectionDoc{b.now}); err != nil {
				return err
			}
		}
		return b.tx.Set(s.erasureDocument(x.key), x.erasureDoc)
	})
	if err != nil {
		return nil, classifyError(err, "erasing customer %s", x.key)
	}

	_, err = s.eraseTraces(ctx, x)
	return events, classifyError(err, "erasing the traces of customer %s", x.key)
}

// readObjections sets OptedOut for unknown customers whose objection was kept when
// they were erased.
func (b *customerTx) readObjections(ids []string) error {
	var unknown []*loadedCustomer
	var refs []*firestore.DocumentRef
	for _, id := range ids {
		if e := b.byID[id]; !e.stored {
			unknown, refs = append(unknown, e), append(refs, b.s.objectionDocument(id))
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

// finishErasures removes the traces of customers who were erased a while ago, all of
// them together. Then it removes them from the recipients of settled batches, some
// mailings a call. An erasure that fails does not delay the others.
func (s *Store) finishErasures(ctx context.Context) error {
	due, err := s.dueErasures(ctx)
	if err != nil || len(due) == 0 {
		return err
	}

	var searched, again []erasure
	for _, x := range due {
		if x.TracesErased {
			searched = append(searched, x)
		} else if len(again) < erasuresAtOnce {
			again = append(again, x)
		}
	}

	faults := []error{}
	if len(again) > 0 {
		done, left, err := s.eraseDueTraces(ctx, again)
		faults = append(faults, err)
		for _, x := range done {
			if !left[x.key] {
				x.TracesErased, x.changed = true, true
				searched = append(searched, x)
			}
		}
	}

	return errors.Join(append(faults, s.eraseRecipients(ctx, searched))...)
}

// dueErasures lists the erasures whose traces are to be removed once more, at most
// erasuresListed. It begins at a random key, so that erasures that have to wait do not
// hide the others for ever.
func (s *Store) dueErasures(ctx context.Context) ([]erasure, error) {
	all := s.db.Collection("erasures").OrderBy(firestore.DocumentID, firestore.Asc)
	begin := push.CustomerKey(rand.Text())
	snaps, err := all.StartAt(begin).Limit(erasuresListed).Documents(ctx).GetAll()
	if err == nil && len(snaps) < erasuresListed {
		var rest []*firestore.DocumentSnapshot
		rest, err = all.EndBefore(begin).Limit(erasuresListed - len(snaps)).Documents(ctx).GetAll()
		snaps = append(snaps, rest...)
	}
	if err != nil {
		return nil, classifyError(err, "listing erasures")
	}

	var due []erasure
	for _, snap := range snaps {
		x := erasure{key: snap.Ref.ID, revision: snap.UpdateTime}
		if err := snap.DataTo(&x.erasureDoc); err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		if s.now().Sub(x.At) >= eraseAgainAfter {
			due = append(due, x)
		}
	}

	return due, nil
}

// eraseDueTraces removes the traces of all erased customers together. If that fails, it
// removes those of each customer alone, so that one that fails does not stop the others. It
// returns the customers that succeeded, and the errors of the others.
func (s *Store) eraseDueTraces(ctx context.Context, due []erasure) (done []erasure, left map[string]bool, err error) {
	left, err = s.eraseTraces(ctx, due...)
	if err == nil {
		return due, left, nil
	}

	var faults []error
	left = map[string]bool{}
	for _, x := range due {
		waits, err := s.eraseTraces(ctx, x)
		if err != nil {
			faults = append(faults, classifyError(err, "erasing the traces of customer %s", x.key))
			continue
		}
		left[x.key] = waits[x.key]
		done = append(done, x)
	}

	return done, left, errors.Join(faults...)
}
