package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// A book is what one transaction reads and changes of customers and the index
// of tokens: everything is read when it is opened, changed in memory, and
// written when it is closed. A token's owner is in two documents, the
// customer's and the token's; a book writes both or neither.
type book struct {
	s         *Store
	id        writeID
	tx        *firestore.Transaction
	now       time.Time
	entries   []*entry // in the order in which they were asked for
	byID      map[string]*entry
	owners    map[string]string // by token id: the id of the customer who had it when the book was opened
	moved     map[string]string // by token id: who has it now, "": nobody
	before    map[string]string // by token id: the key of whom an app took it from
	takenFrom map[string]string // the same, of tokens that are moved in this book
	phones    []string          // ids of tokens that reach the phones of tokens to be given
	also      []*firestore.DocumentSnapshot
	newest    bool // tell also that customers not known before are available
	logged    bool // write the events to the outbox
	events    []push.Event
}

// An entry is a customer of a book.
type entry struct {
	*push.Customer
	stored    bool     // there was a document
	reachable bool     // when the book was opened
	touched   bool     // tokens or availability changed: the version grows
	changed   bool     // has to be written
	erased    bool     // has to be deleted
	lifted    bool     // an objection kept over an erasure was lifted
	dead      []string // ids of tokens that were marked invalid

	superseded []superseded
}

// superseded is a token that another one of the same phone took the place of.
type superseded struct {
	push.Token
	by string // the other one's id
}

// inBook runs f over a book in a transaction, as often as it takes, and returns
// the events of the run that counts. The events are in the outbox by then.
func (s *Store) inBook(ctx context.Context, customers, tokens []string, f func(*book) error) ([]push.Event, error) {
	var events []push.Event
	w := newWriteID()
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		b, err := s.open(tx, w, customers, tokens)
		if err != nil {
			return err
		}
		events = nil
		b.newest, b.logged = true, true
		if err := f(b); err != nil {
			return err
		}
		err = b.close()
		events = b.events
		return err
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// open reads customers, the index entries of tokens, and who has these tokens;
// and whatever also names, with the same request. It answers errStored when a
// customer was last changed by this very write.
func (s *Store) open(tx *firestore.Transaction, w writeID, customers, tokens []string, also ...*firestore.DocumentRef) (*book, error) {
	b := &book{s: s, id: w, tx: tx, now: s.moment(), byID: map[string]*entry{}, owners: map[string]string{}, moved: map[string]string{}, before: map[string]string{}, takenFrom: map[string]string{}}
	tokens = unique(tokens)
	refs := make([]*firestore.DocumentRef, 0, len(customers)+len(tokens))
	for _, id := range tokens {
		refs = append(refs, s.token(id))
	}
	ids := unique(customers)
	for _, id := range ids {
		refs = append(refs, s.customer(id))
	}
	refs = append(refs, also...)
	snaps, err := tx.GetAll(refs)
	if err != nil {
		return nil, err
	}
	if err := b.index(tokens, snaps); err != nil {
		return nil, err
	}
	if err := b.add(ids, snaps[len(tokens):]); err != nil {
		return nil, err
	}
	b.also = snaps[len(tokens)+len(ids):]
	if err := b.readObjections(ids); err != nil {
		return nil, err
	}
	return b, b.others(tokens)
}

// moment is now as Firestore keeps it: what is answered equals what is stored.
func (s *Store) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func unique(list []string) []string {
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

func (b *book) index(tokens []string, snaps []*firestore.DocumentSnapshot) error {
	for i, id := range tokens {
		if !snaps[i].Exists() {
			continue
		}
		var d tokenDoc
		if err := snaps[i].DataTo(&d); err != nil {
			return err
		}
		b.owners[id], b.before[id] = d.Customer, d.Before
	}
	return nil
}

func (b *book) add(ids []string, snaps []*firestore.DocumentSnapshot) error {
	for i, id := range ids {
		if b.id.in(snaps[i]) {
			return errStored
		}
		e := &entry{stored: snaps[i].Exists()}
		if e.stored {
			c, err := decodeCustomer(snaps[i])
			if err != nil {
				return err
			}
			e.Customer, e.reachable = c, c.Reachable()
		} else {
			// Versions begin with the clock, so that those of a customer who was
			// erased and comes back are higher than any told before.
			e.Customer = &push.Customer{ID: id, CreatedAt: b.now, Version: b.now.UnixMicro(), Revision: b.now.UnixMicro()}
		}
		b.entries, b.byID[id] = append(b.entries, e), e
	}
	return nil
}

// others reads the customers who have the tokens and were not asked for.
func (b *book) others(tokens []string) error {
	var ids []string
	for _, t := range tokens {
		if id, ok := b.owners[t]; ok && b.byID[id] == nil {
			ids = append(ids, id)
		}
	}
	if ids = unique(ids); len(ids) == 0 {
		return nil
	}
	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		refs[i] = b.s.customer(id)
	}
	snaps, err := b.tx.GetAll(refs)
	if err != nil {
		return err
	}
	return b.add(ids, snaps)
}

// owner is who has a token now.
func (b *book) owner(token string) string {
	if id, ok := b.moved[token]; ok {
		return id
	}
	return b.owners[token]
}

// drop takes a token from a customer.
func (b *book) drop(e *entry, token string) bool {
	n := len(e.Tokens)
	if t, ok := e.Token(token); ok {
		b.retell(e, *t)
	}
	e.Tokens = slices.DeleteFunc(e.Tokens, func(t push.Token) bool { return t.ID == token })
	if len(e.Tokens) == n {
		return false
	}
	b.moved[token] = ""
	e.touched = true
	return true
}

// overflow drops what a customer has too many of: invalid tokens first, then
// the longest unseen, never those to keep.
func (b *book) overflow(e *entry, keep ...string) {
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
		b.drop(e, worst.ID)
	}
}

// retell tells a mailing's mark once more before it goes: deliver may have died
// between setting it and telling it, and with the mark gone nobody else could.
func (b *book) retell(e *entry, t push.Token) {
	if t.Invalid != nil && t.Invalid.Mailing != "" && b.now.Sub(t.Invalid.At) <= keepEvents {
		b.events = append(b.events, push.InvalidatedEvent(e.Customer, t))
	}
}

// close writes what has changed.
func (b *book) close() error {
	for _, e := range b.entries {
		b.tell(e)
		if err := b.write(e); err != nil {
			return err
		}
	}
	for token, id := range b.moved {
		if id == b.owners[token] && id != "" {
			continue
		}
		if err := b.reindex(token, id); err != nil {
			return err
		}
	}
	if !b.logged {
		return nil
	}
	return b.s.log(b.tx, b.events)
}

// tell counts a change and notes the events it owes.
func (b *book) tell(e *entry) {
	if !e.touched {
		return
	}
	e.changed = true
	e.Version++
	for _, t := range e.superseded {
		b.events = append(b.events, push.SupersededEvent(e.Customer, t.Token, t.by, b.now))
	}
	for _, id := range e.dead {
		if t, ok := e.Token(id); ok && t.Invalid != nil {
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
	if e.stored || b.newest {
		b.events = append(b.events, push.AvailabilityEvent(e.Customer, b.now))
	}
}

func (b *book) write(e *entry) error {
	switch {
	case e.erased && e.stored:
		return b.tx.Delete(b.s.customer(e.ID))
	case e.changed && !e.erased:
		e.Revision++
		if e.lifted {
			if err := b.tx.Delete(b.s.objection(e.ID)); err != nil {
				return err
			}
		}
		doc := encodeCustomer(e.Customer)
		doc.Write = string(b.id)
		return b.tx.Set(b.s.customer(e.ID), doc)
	}
	return nil
}

func (b *book) reindex(token, id string) error {
	if id == "" {
		return b.tx.Delete(b.s.token(token))
	}
	d := tokenDoc{Customer: id, Key: push.CustomerKey(id), Before: b.takenFrom[token]}
	if t, ok := b.byID[id].Token(token); ok && t.Kind == push.KindToken {
		d.Installation = installationKey(t.Kind, t.Value)
	}
	return b.tx.Set(b.s.token(token), d)
}
