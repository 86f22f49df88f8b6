package store

import (
	"cmp"
	"context"
	"time"

	"carillon.example/shared/push"
)

// Registered is what a registration came to.
type Registered struct {
	Token    push.Token
	Customer *push.Customer
	Created  bool         // the customer did not have the token
	Events   []push.Event // in the outbox until Told
}

// RegisterToken gives a token to a customer: new, seen again, valid again, or taken
// from another customer, in one transaction. It may be called at each start of
// an app: a token that is known costs two reads and one write; one that is new
// costs a read more, of what else reaches the same phone. The write is not
// left out when nothing but the time changes, for that time is what protects
// the token from the late answer to a push that was sent before. A registration
// with limits may be answered *push.LimitReached or *push.Conflict.
func (s *Store) RegisterToken(ctx context.Context, id string, r push.Registration) (Registered, error) {
	r.AddedAt, r.SeenAt = time.Time{}, time.Time{}
	r.Kind = push.KindOf(r.Value, r.Kind)
	var out Registered
	token := push.TokenID(r.Value)
	events, err := s.inCustomerTx(ctx, []string{id}, []string{token}, func(b *customerTx) error {
		e := b.byID[id]
		_, known := e.Token(token)
		if err := b.readPhones(claim{id, r}); err != nil {
			return err
		}
		if r.Limits != nil {
			if err := b.allow(e, r); err != nil {
				return err
			}
		}
		b.give(e, r)
		b.dropSurplus(e, token)
		t, _ := e.Token(token)
		out = Registered{Token: *t, Customer: e.Customer, Created: !known}
		return nil
	})
	out.Events = events
	return out, classify(err, "registering token %s", token)
}

// give makes a customer the owner of a token that was seen now. What the
// registration does not say of the device stays as it was. Other tokens of the
// same phone go, whoever has them.
func (b *customerTx) give(e *loadedCustomer, r push.Registration) {
	id := push.TokenID(r.Value)
	fresh := push.Token{ID: id, Value: r.Value, AddedAt: b.or(r.AddedAt)}
	if from := b.byID[b.owner(id)]; from != nil && from != e {
		if t, ok := from.Token(id); ok {
			fresh.Platform, fresh.App = t.Platform, t.App
		}
		b.dropToken(from, id)
		fresh.AddedAt = b.now // not earlier, whatever an import says: a mailing under way may have it under its former customer
	}
	if t, known := e.Token(id); known {
		r.App = cmp.Or(r.App, t.App)
	}
	b.supersede(e, r, &fresh)

	t, known := e.Token(id)
	if !known {
		e.Tokens = append(e.Tokens, fresh)
		t = &e.Tokens[len(e.Tokens)-1]
	} else if !t.Valid() {
		b.republishFlag(e, *t)
		t.Invalid, t.AddedAt = nil, b.now
	}
	t.Kind, t.Platform, t.App, t.SeenAt = r.Kind, cmp.Or(r.Platform, t.Platform), cmp.Or(r.App, t.App), b.or(r.SeenAt)
	t.Imported = false
	t.Device, t.Notifications = cmp.Or(r.Device, t.Device), cmp.Or(r.Notifications, t.Notifications)
	e.TimeZone = cmp.Or(r.TimeZone, e.TimeZone)
	t.Expires = push.ExpiryDay(t.Platform, t.SeenAt, b.s.tokenLife)
	b.moved[id] = e.ID
	e.touched = true
}

// or is at, or now if at is none; nothing was seen in the future.
func (b *customerTx) or(at time.Time) time.Time {
	if at.IsZero() || at.After(b.now) {
		return b.now
	}
	return at.UTC().Truncate(time.Microsecond)
}

// UnregisterToken takes a token from a customer. It answers *push.NotFound when the
// customer does not have it, and the events that tell what changed, which are
// in the outbox until Told.
func (s *Store) UnregisterToken(ctx context.Context, customer, tokenID string) ([]push.Event, error) {
	taken := false // also by a run whose answer was lost
	events, err := s.inCustomerTx(ctx, []string{customer}, nil, func(b *customerTx) error {
		if b.dropToken(b.byID[customer], tokenID) {
			taken = true
		} else if !taken {
			return &push.NotFound{What: "token", ID: tokenID}
		}
		return nil
	})
	if push.IsNotFound(err) {
		return nil, err
	}
	return events, classify(err, "unregistering token %s", tokenID)
}

// PatchCustomer changes what is known of a customer beside the tokens, and answers the
// customer as it is then. Somebody not known becomes known: that they want no
// pushes may be heard before their first device is. It answers *push.PreconditionFailed where
// the patch's condition does not hold.
func (s *Store) PatchCustomer(ctx context.Context, customer string, p push.CustomerPatch) (*push.Customer, error) {
	var c *push.Customer
	wrote := int64(0) // the revision of a run whose answer may have been lost
	_, err := s.inCustomerTx(ctx, []string{customer}, nil, func(b *customerTx) error {
		e := b.byID[customer]
		holds := p.If.Holds(e.stored, e.Revision)
		own := wrote != 0 && e.Revision == wrote
		if !holds && !own {
			return &push.PreconditionFailed{What: "customer"}
		}

		wrote = e.Revision + 1
		p.At = b.now
		changed, err := p.Apply(e.Customer)
		if err != nil {
			return err
		}
		if changed && !holds { // the revision is somebody else's after all
			return &push.PreconditionFailed{What: "customer"}
		}
		if e.Objected && !e.OptedOut {
			e.Objected, e.lifted = false, true
		}
		e.changed = changed || !e.stored
		c = e.Customer
		return nil
	})
	return c, classify(err, "changing customer %s", push.CustomerKey(customer))
}
