package store

import (
	"cmp"
	"context"
	"time"

	"carillon.example/shared/push"
)

// RegistrationResult is the result of a registration.
type RegistrationResult struct {
	Token    push.Token
	Customer *push.Customer
	Created  bool         // the customer did not have the token
	Events   []push.Event // in the outbox until MarkEventsPublished
}

// RegisterToken gives a token to a customer in one transaction. The token may be new, seen
// again, valid again, or that of another customer. An app may call it at each start.
//
// A known token costs two reads and one write. A new one costs one more read, for the other
// tokens of the phone. The write is made even if only the time changes: that time protects
// the token from a late answer to a message that was sent before. A registration with
// limits may return *push.LimitReached or *push.Conflict.
func (s *Store) RegisterToken(ctx context.Context, id string, r push.Registration) (RegistrationResult, error) {
	r.AddedAt, r.SeenAt = time.Time{}, time.Time{}
	r.Kind = push.KindOf(r.Value, r.Kind)
	var out RegistrationResult
	token := push.TokenID(r.Value)
	events, err := s.inCustomerTx(ctx, []string{id}, []string{token}, func(b *customerTx) error {
		e := b.byID[id]
		_, known := e.FindToken(token)
		if err := b.readPhones(tokenClaim{id, r}); err != nil {
			return err
		}
		if r.Limits != nil {
			if err := b.checkLimits(e, r); err != nil {
				return err
			}
		}
		b.registerToken(e, r)
		b.dropSurplus(e, token)
		t, _ := e.FindToken(token)
		out = RegistrationResult{Token: *t, Customer: e.Customer, Created: !known}
		return nil
	})

	out.Events = events
	return out, classifyError(err, "registering token %s", token)
}

// registerToken gives a customer a token that was seen now. What the registration does not say
// about the device stays as it was. Other tokens of the same phone are removed from their
// customers.
func (b *customerTx) registerToken(e *loadedCustomer, r push.Registration) {
	id := push.TokenID(r.Value)
	fresh := push.Token{ID: id, Value: r.Value, AddedAt: b.timeOrNow(r.AddedAt)}
	if from := b.byID[b.ownerOf(id)]; from != nil && from != e {
		if t, ok := from.FindToken(id); ok {
			fresh.Platform, fresh.App = t.Platform, t.App
		}
		b.dropToken(from, id)
		fresh.AddedAt = b.now // not the time of an import: a running mailing may have the token in a batch under its former customer
	}
	if t, known := e.FindToken(id); known {
		r.App = cmp.Or(r.App, t.App)
	}
	b.supersedeTokens(e, r, &fresh)

	t, known := e.FindToken(id)
	if !known {
		e.Tokens = append(e.Tokens, fresh)
		t = &e.Tokens[len(e.Tokens)-1]
	} else if !t.Valid() {
		b.republishFlag(e, *t)
		t.Invalid, t.AddedAt = nil, b.now
	}
	t.Kind, t.Platform, t.App, t.SeenAt = r.Kind, cmp.Or(r.Platform, t.Platform), cmp.Or(r.App, t.App), b.timeOrNow(r.SeenAt)
	t.Imported = false
	t.Device, t.Notifications = cmp.Or(r.Device, t.Device), cmp.Or(r.Notifications, t.Notifications)
	e.TimeZone = cmp.Or(r.TimeZone, e.TimeZone)
	t.Expires = push.ExpiryDay(t.Platform, t.SeenAt, b.s.tokenLife)
	b.moved[id] = e.ID
	e.touched = true
}

// timeOrNow returns at, or the current time if at is zero or in the future.
func (b *customerTx) timeOrNow(at time.Time) time.Time {
	if at.IsZero() || at.After(b.now) {
		return b.now
	}
	return at.UTC().Truncate(time.Microsecond)
}

// UnregisterToken removes a token from a customer. It returns *push.NotFound if the customer
// does not have it, and the events of the change, which are in the outbox until
// MarkEventsPublished.
func (s *Store) UnregisterToken(ctx context.Context, customer, tokenID string) ([]push.Event, error) {
	removed := false // true as well if a run removed it whose answer was lost
	events, err := s.inCustomerTx(ctx, []string{customer}, nil, func(b *customerTx) error {
		if b.dropToken(b.byID[customer], tokenID) {
			removed = true
		} else if !removed {
			return &push.NotFound{What: "token", ID: tokenID}
		}
		return nil
	})
	if push.IsNotFound(err) {
		return nil, err
	}
	return events, classifyError(err, "unregistering token %s", tokenID)
}

// PatchCustomer changes the data of a customer, but not the tokens, and returns the changed
// customer. An unknown customer is created, because an opt-out may arrive before the first
// token.
// It returns *push.PreconditionFailed if the condition of the patch does not hold.
func (s *Store) PatchCustomer(ctx context.Context, customer string, p push.CustomerPatch) (*push.Customer, error) {
	var c *push.Customer
	wrote := int64(0) // the revision of a run whose answer may have been lost
	_, err := s.inCustomerTx(ctx, []string{customer}, nil, func(b *customerTx) error {
		e := b.byID[customer]

		// The condition is checked in the transaction, so that no other write comes in
		// between. A run after a lost answer finds its own revision.
		holds := p.Precondition.IsMetBy(e.stored, e.Revision)
		own := wrote != 0 && e.Revision == wrote
		if !holds && !own {
			return &push.PreconditionFailed{What: "customer"}
		}

		wrote = e.Revision + 1
		p.At = b.now
		changed, err := p.ApplyTo(e.Customer)
		if err != nil {
			return err
		}
		if changed && !holds { // another write has made that revision
			return &push.PreconditionFailed{What: "customer"}
		}
		if e.Objected && !e.OptedOut {
			e.Objected, e.lifted = false, true
		}
		e.changed = changed || !e.stored
		c = e.Customer
		return nil
	})
	return c, classifyError(err, "changing customer %s", push.CustomerKey(customer))
}
