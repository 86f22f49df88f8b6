package store

import (
	"cmp"
	"context"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// A Flag says that a mailing has found a token invalid.
type Flag struct {
	Mailing, Customer, TokenID string
	Code, Status               string
	At, BatchCreatedAt         time.Time
}

// FlagResult says whether the token has the flag now, and which events to publish.
type FlagResult struct {
	Set    bool
	Events []push.Event
	Err    error // from FlagTokens: why this flag was not set; others may have been
}

// FlagToken flags a token, if the customer still has it and it was not registered again
// since the batch was created. After an unflag of the mailing has begun it sets no flag;
// one that it had set before counts as set until the unflag removes it.
//
// The events are not in the outbox. The batch owes them until they are published, and
// calls again if necessary. So a repeated call returns them again, in case the first one
// crashed before it published them: that the customer cannot be reached, whatever
// happened to the token and the customer since, and that the token is invalid, as long
// as it has the flag (a call that removes the flag publishes this event, too).
func (s *Store) FlagToken(ctx context.Context, f Flag) (FlagResult, error) {
	f.At = f.At.UTC().Truncate(time.Microsecond)
	out, err := s.flagInTransaction(ctx, []Flag{f})
	if err != nil {
		return FlagResult{}, classifyError(err, "flagging token %s of mailing %s", f.TokenID, f.Mailing)
	}
	return out[0], nil
}

// flagInTransaction sets the flags of one mailing in one transaction.
func (s *Store) flagInTransaction(ctx context.Context, flags []Flag) (out []FlagResult, err error) {
	customers := make([]string, len(flags))
	for i, f := range flags {
		customers[i] = f.Customer
	}

	w := newWriteID()
	err = s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		b, err := s.openCustomerTx(tx, w, customers, nil, s.unflagMarkDocument(flags[0].Mailing))
		if err != nil {
			return err
		}
		b.announceNew = true
		out, err = b.setFlags(flags, b.alsoRead[0].Exists())
		return err
	})
	return out, err
}

// setFlags flags the tokens that are to be flagged, and returns a result for each flag. It
// flags none if an unflag of the mailing has begun. The event of a customer whose
// availability changes is in the result of the last flag that changed the customer.
func (b *customerTx) setFlags(flags []Flag, unflagging bool) ([]FlagResult, error) {
	out := make([]FlagResult, len(flags))
	changedBy := map[*loadedCustomer]int{}
	for i, f := range flags {
		e := b.byID[f.Customer]
		if t, ok := e.FindToken(f.TokenID); ok && f.appliesTo(t) && t.Invalid == nil && !unflagging {
			t.Invalid = &push.TokenFlag{Code: f.Code, Status: f.Status, At: f.At, Mailing: f.Mailing}
			e.touched, e.newlyFlagged = true, append(e.newlyFlagged, t.ID)
			out[i].Set, changedBy[e] = true, i
		}
	}

	for e, i := range changedBy {
		b.now, b.events = flags[i].At, nil
		b.recordEvents(e)
		out[i].Events = b.events
		if err := b.writeCustomer(e); err != nil {
			return nil, err
		}
	}

	for i, f := range flags {
		if e := b.byID[f.Customer]; !out[i].Set {
			out[i] = f.resultWithoutChange(e.Customer, e.reachable)
		}
	}

	return out, nil
}

// resultWithoutChange returns the result of a flag that changes nothing: it is set already, or must
// not be set. The customer, and whether push could reach it, are as they were read.
func (f *Flag) resultWithoutChange(c *push.Customer, reachable bool) (out FlagResult) {
	if t, ok := c.FindToken(f.TokenID); ok && t.Invalid != nil && f.appliesTo(t) {
		out.Set = true
		out.Events = append(out.Events, push.InvalidatedEvent(c, *t))
	}
	if !reachable && (c.Availability != 0 || c.CreatedAt.After(f.BatchCreatedAt)) {
		// The version of a customer who was erased since is unknown. Versions begin
		// with the clock: the time at which the batch was created is greater than
		// those before the erasure, and less than those of a customer who comes back.
		c.Availability = cmp.Or(c.Availability, f.BatchCreatedAt.UnixMicro())
		out.Events = append(out.Events, push.AvailabilityEvent(c, f.At))
	}
	return out
}

// appliesTo reports whether a token has the flag f, or may get it.
func (f *Flag) appliesTo(t *push.Token) bool {
	if t.SeenAt.After(f.BatchCreatedAt) || t.AddedAt.After(f.BatchCreatedAt) {
		return false
	}
	return t.Invalid == nil || t.Invalid.Mailing == f.Mailing
}

// flaggedBy reports whether a token was flagged by a mailing, and not because of its
// age.
func flaggedBy(t *push.Token, mailing string) bool {
	return t.Invalid != nil && t.Invalid.Mailing == mailing && t.Invalid.Code != push.CodeExpired
}

// unflagInTransaction removes the flags that a mailing set on tokens of customers, in one
// transaction. Flags of other mailings and of a token's age stay. It returns how many it
// removed, and the events, which are in the outbox until MarkEventsPublished. The count
// is stored in the same transaction, so that it is counted once even if the caller
// crashes.
func (s *Store) unflagInTransaction(ctx context.Context, mailing string, tokens []CustomerTokens) (removed int, events []push.Event, err error) {
	customers := make([]string, len(tokens))
	for i, t := range tokens {
		customers[i] = t.Customer
	}

	events, err = s.inCustomerTx(ctx, customers, nil, func(b *customerTx) error {
		removed = 0
		for _, of := range tokens {
			e := b.byID[of.Customer]
			for _, id := range of.Tokens {
				if t, ok := e.FindToken(id); ok && flaggedBy(t, mailing) {
					t.Invalid, e.touched = nil, true
					removed++
				}
			}
		}
		if removed == 0 {
			return nil
		}
		return b.tx.Create(s.unflagCollection(mailing).NewDoc(), unflagCount{Unflagged: int64(removed), ExpireAt: s.now().Add(keepUnflags)})
	})
	if err != nil {
		return 0, nil, classifyError(err, "removing the flags of mailing %s from %d customers", mailing, len(tokens))
	}

	return removed, events, nil
}
