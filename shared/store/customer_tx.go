package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// A customerTx changes customers and the index of tokens in one transaction. It reads all
// documents first, because Firestore allows no read after a write, changes them in memory,
// and writes those that changed at the end. Two documents say which customer has a token:
// the customer's and the token's. A customerTx writes both or neither.
//
// The transaction locks what it reads. So two requests for one customer or one token run
// one after the other, and no token has two owners.
type customerTx struct {
	s               *Store
	id              writeID
	tx              *firestore.Transaction
	now             time.Time
	entries         []*loadedCustomer // in the order of the request
	byID            map[string]*loadedCustomer
	owners          map[string]string // by token id: the id of the customer who had it at the start
	moved           map[string]string // by token id: the id of the customer who has it now, "" for nobody
	takenFromBefore map[string]string // by token id: the key of the customer from whom an app took it
	takenFrom       map[string]string // the same, for tokens that this transaction moves
	phones          []string          // ids of other tokens that reach the same phones as the tokens to be registered
	alsoRead        []*firestore.DocumentSnapshot
	announceNew     bool // also make an event for a new customer who is available
	storeEvents     bool // store the events in the outbox
	events          []push.Event
}

// A loadedCustomer is a customer of a customerTx, and what has changed.
type loadedCustomer struct {
	*push.Customer
	stored       bool           // the document existed at the start
	before       *push.Customer // as it was stored at the start; nil: it was not
	changedAt    time.Time      // the stored time of the last change that rosters have to read; zero: none
	reachable    bool           // whether push could reach the customer at the start
	touched      bool           // tokens or availability changed: the version increases
	changed      bool           // the document has to be written
	erased       bool           // the document has to be deleted
	lifted       bool           // the customer opted in, and the kept objection is deleted
	newlyFlagged []string       // ids of tokens that were flagged

	superseded []supersededToken
}

// supersededToken is a token that was replaced by another token of the same phone.
type supersededToken struct {
	push.Token
	by string // id of the other token
}

// inCustomerTx runs f in a customerTx, again after each conflict, and returns the
// events of the run that was stored. They are stored in the outbox, too.
func (s *Store) inCustomerTx(ctx context.Context, customers, tokens []string, f func(*customerTx) error) ([]push.Event, error) {
	var events []push.Event
	w := newWriteID()
	err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		b, err := s.openCustomerTx(tx, w, customers, tokens)
		if err != nil {
			return err
		}
		events = nil
		b.announceNew, b.storeEvents = true, true
		if err := f(b); err != nil {
			return err
		}
		err = b.writeChanges()
		events = b.events
		return err
	})
	if err != nil {
		return nil, err
	}

	return events, nil
}

// openCustomerTx reads customers, the index entries of tokens, and the customers who
// have these tokens. It reads the documents of also with the same request. It
// returns errStored when this write was the last to change a customer.
func (s *Store) openCustomerTx(tx *firestore.Transaction, w writeID, customers, tokens []string, also ...*firestore.DocumentRef) (*customerTx, error) {
	b := &customerTx{s: s, id: w, tx: tx, now: s.currentTimestamp(), byID: map[string]*loadedCustomer{}, owners: map[string]string{}, moved: map[string]string{}, takenFromBefore: map[string]string{}, takenFrom: map[string]string{}}

	tokens = uniqueStrings(tokens)
	refs := make([]*firestore.DocumentRef, 0, len(customers)+len(tokens))
	for _, id := range tokens {
		refs = append(refs, s.tokenDocument(id))
	}

	ids := uniqueStrings(customers)
	for _, id := range ids {
		refs = append(refs, s.customerDocument(id))
	}

	refs = append(refs, also...)

	snaps, err := tx.GetAll(refs)
	if err != nil {
		return nil, err
	}
	if err := b.readOwners(tokens, snaps); err != nil {
		return nil, err
	}
	if err := b.addCustomers(ids, snaps[len(tokens):]); err != nil {
		return nil, err
	}
	b.alsoRead = snaps[len(tokens)+len(ids):]
	if err := b.readObjections(ids); err != nil {
		return nil, err
	}
	return b, b.readOtherOwners(tokens)
}

// currentTimestamp is the current time with Firestore's precision, so that what is returned
// equals what is stored.
func (s *Store) currentTimestamp() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// uniqueStrings returns the texts of a list without duplicates, in their order.
func uniqueStrings(list []string) []string {
	seen := make(map[string]bool, len(list))
	out := make([]string, 0, len(list))
	for _, x := range list {
		if !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	return out
}

// readOwners takes from the index of tokens which customers had them at the start.
func (b *customerTx) readOwners(tokens []string, snaps []*firestore.DocumentSnapshot) error {
	for i, id := range tokens {
		if !snaps[i].Exists() {
			continue
		}
		var d tokenDoc
		if err := snaps[i].DataTo(&d); err != nil {
			return err
		}
		b.owners[id], b.takenFromBefore[id] = d.Customer, d.Before
	}
	return nil
}

// addCustomers adds customers as they were read; one without a document is new. It
// returns errStored if this write was the last to change one of them.
func (b *customerTx) addCustomers(ids []string, snaps []*firestore.DocumentSnapshot) error {
	for i, id := range ids {
		if b.id.changedLast(snaps[i]) {
			return errStored
		}
		e := &loadedCustomer{stored: snaps[i].Exists()}
		if e.stored {
			c, err := decodeCustomer(snaps[i])
			if err != nil {
				return err
			}
			e.Customer, e.reachable = c, c.HasValidToken()
			e.before = c.ForRoster()
			if e.changedAt, err = storedChange(snaps[i]); err != nil {
				return err
			}
		} else {
			// Versions begin with the clock: a customer who was erased and comes
			// back gets higher versions than those in earlier events.
			e.Customer = &push.Customer{ID: id, CreatedAt: b.now, Version: b.now.UnixMicro(), Revision: b.now.UnixMicro()}
		}
		b.entries, b.byID[id] = append(b.entries, e), e
	}

	return nil
}

// readOtherOwners reads the customers who have the tokens and are not in the request.
func (b *customerTx) readOtherOwners(tokens []string) error {
	var ids []string
	for _, t := range tokens {
		if id, ok := b.owners[t]; ok && b.byID[id] == nil {
			ids = append(ids, id)
		}
	}

	if ids = uniqueStrings(ids); len(ids) == 0 {
		return nil
	}

	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		refs[i] = b.s.customerDocument(id)
	}

	snaps, err := b.tx.GetAll(refs)
	if err != nil {
		return err
	}
	return b.addCustomers(ids, snaps)
}

// ownerOf returns the id of the customer who has a token now.
func (b *customerTx) ownerOf(token string) string {
	if id, ok := b.moved[token]; ok {
		return id
	}
	return b.owners[token]
}

// dropToken removes a token from a customer. It reports whether the customer had it.
func (b *customerTx) dropToken(e *loadedCustomer, token string) bool {
	n := len(e.Tokens)
	if t, ok := e.FindToken(token); ok {
		b.republishFlag(e, *t)
	}
	e.Tokens = slices.DeleteFunc(e.Tokens, func(t push.Token) bool { return t.ID == token })
	if len(e.Tokens) == n {
		return false
	}
	b.moved[token] = ""
	e.touched = true
	return true
}

// dropSurplus drops tokens until a customer has no more than maxTokens: first invalid ones,
// then those that were not seen for the longest time. Tokens of keep are dropped last.
func (b *customerTx) dropSurplus(e *loadedCustomer, keep ...string) {
	rank := func(t push.Token) int {
		switch {
		case slices.Contains(keep, t.ID):
			return 2
		case t.Valid():
			return 1
		}
		return 0
	}

	for len(e.Tokens) > b.s.maxTokens {
		worst := slices.MinFunc(e.Tokens, func(x, y push.Token) int {
			return cmp.Or(cmp.Compare(rank(x), rank(y)), x.SeenAt.Compare(y.SeenAt), cmp.Compare(x.ID, y.ID))
		})
		b.dropToken(e, worst.ID)
	}
}

// republishFlag makes the event of a flag again before the flag is removed: deliver may
// have crashed after it stored the flag and before it published the event, and
// without the flag tick cannot find it.
func (b *customerTx) republishFlag(e *loadedCustomer, t push.Token) {
	if t.Invalid != nil && t.Invalid.Mailing != "" && b.now.Sub(t.Invalid.At) <= keepEvents {
		b.events = append(b.events, push.InvalidatedEvent(e.Customer, t))
	}
}

// writeChanges writes the documents that changed, and the events.
func (b *customerTx) writeChanges() error {
	for _, e := range b.entries {
		b.recordEvents(e)
		if err := b.writeCustomer(e); err != nil {
			return err
		}
	}

	for token, id := range b.moved {
		if id == b.owners[token] && id != "" {
			continue
		}
		if err := b.writeTokenIndex(token, id); err != nil {
			return err
		}
	}

	if !b.storeEvents {
		return nil
	}

	return b.s.storeEvents(b.tx, b.events)
}

// recordEvents increases the version of a changed customer and makes the events.
func (b *customerTx) recordEvents(e *loadedCustomer) {
	if !e.touched {
		return
	}
	e.changed = true
	e.Version++
	for _, t := range e.superseded {
		b.events = append(b.events, push.SupersededEvent(e.Customer, t.Token, t.by, b.now))
	}

	for _, id := range e.newlyFlagged {
		if t, ok := e.FindToken(id); ok && t.Invalid != nil {
			b.events = append(b.events, push.InvalidatedEvent(e.Customer, *t))
		}
	}

	if e.erased {
		b.events = append(b.events, push.ErasedEvent(e.Customer, b.now))
	}

	now := e.AvailabilityAt(b.now)
	if now.State == cmp.Or(e.Reported.State, push.StateUnreachable) {
		return
	}

	e.Reported, e.Availability = now, e.Version
	if e.stored || b.announceNew {
		b.events = append(b.events, push.AvailabilityEvent(e.Customer, b.now))
	}
}

// writeCustomer writes, deletes or leaves the document of a customer. Each write
// increases the revision, which is the ETag of the API.
func (b *customerTx) writeCustomer(e *loadedCustomer) error {
	switch {
	case e.erased && e.stored:
		return b.tx.Delete(b.s.customerDocument(e.ID))
	case e.changed && !e.erased:
		e.Revision++
		if e.lifted {
			if err := b.tx.Delete(b.s.objectionDocument(e.ID)); err != nil {
				return err
			}
		}
		doc := encodeCustomer(e.Customer)
		doc.Write = string(b.id)
		if !e.changedAt.IsZero() && e.SameInRoster(e.before) {
			return b.tx.Set(b.s.customerDocument(e.ID), sameDoc{doc, e.changedAt})
		}
		return b.tx.Set(b.s.customerDocument(e.ID), changedDoc{customerDoc: doc})
	}

	return nil
}

// writeTokenIndex writes which customer has a token now; "" deletes the entry.
func (b *customerTx) writeTokenIndex(token, id string) error {
	if id == "" {
		return b.tx.Delete(b.s.tokenDocument(token))
	}
	d := tokenDoc{Customer: id, Key: push.CustomerKey(id), Before: b.takenFrom[token]}
	if t, ok := b.byID[id].FindToken(token); ok && t.Kind == push.KindToken {
		d.Installation = installationKey(t.Kind, t.Value)
	}
	return b.tx.Set(b.s.tokenDocument(token), d)
}
