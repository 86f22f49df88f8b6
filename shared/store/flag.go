package store

import (
	"cmp"
	"context"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// A Flag marks a token invalid because of a mailing.
type Flag struct {
	Mailing, Customer, TokenID string
	Code, Status               string
	At, CutAt                  time.Time
}

// FlagResult says whether the mark stands, and what it tells.
type FlagResult struct {
	Set    bool
	Events []push.Event
	Err    error // of FlagTokens: this flag was not set, and the others may have been
}

// FlagToken marks a token invalid, only if the customer still has it and it was not
// registered again since the batch was cut. The batch owes the events until
// they are published and calls again if need be; so they are not in the outbox,
// and a repeated call answers them again, in case the first one died before it
// could tell. It repeats that the customer cannot be reached whatever has become
// of the token and of the customer; that the token is invalid, as long as its
// mark stands (whoever takes the mark away tells it too). Once the mailing's
// flags are being taken back it sets none, but a mark that it has set already
// still counts as set until it is taken back.
func (s *Store) FlagToken(ctx context.Context, f Flag) (FlagResult, error) {
	f.At = f.At.UTC().Truncate(time.Microsecond)
	out, err := s.flagTogether(ctx, []Flag{f})
	if err != nil {
		return FlagResult{}, classify(err, "flagging token %s of mailing %s", f.TokenID, f.Mailing)
	}
	return out[0], nil
}

// flagTogether sets the flags of one mailing in one transaction: all or none.
func (s *Store) flagTogether(ctx context.Context, flags []Flag) (out []FlagResult, err error) {
	customers := make([]string, len(flags))
	for i, f := range flags {
		customers[i] = f.Customer
	}

	w := newWriteID()
	err = s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		b, err := s.openCustomerTx(tx, w, customers, nil, s.unflagging(flags[0].Mailing))
		if err != nil {
			return err
		}
		b.announceNew = true
		out, err = b.flag(flags, b.alsoRead[0].Exists())
		return err
	})
	return out, err
}

// flag marks the tokens that are to be marked, and answers for each flag; none is
// marked once the mailing's flags are being taken back. What a customer's change
// tells is in the answer to the last flag that changed it.
func (b *customerTx) flag(flags []Flag, unflagging bool) ([]FlagResult, error) {
	out := make([]FlagResult, len(flags))
	changedBy := map[*loadedCustomer]int{}
	for i, f := range flags {
		e := b.byID[f.Customer]
		if t, ok := e.Token(f.TokenID); ok && f.stands(t) && t.Invalid == nil && !unflagging {
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
			out[i] = f.repeat(e.Customer, e.reachable)
		}
	}
	return out, nil
}

// repeat answers for a flag that changes nothing: its mark stands already, or
// must not be set. The customer is as it was read, and so is whether it could be
// reached then.
func (f *Flag) repeat(c *push.Customer, reachable bool) (out FlagResult) {
	if t, ok := c.Token(f.TokenID); ok && t.Invalid != nil && f.stands(t) {
		out.Set = true
		out.Events = append(out.Events, push.InvalidatedEvent(c, *t))
	}
	if !reachable && (c.Availability != 0 || c.CreatedAt.After(f.CutAt)) {
		// Erased since, the customer's version is forgotten. Versions begin with
		// the clock: the time of the cut is above those from before the erasure,
		// and below those of a customer who comes back.
		c.Availability = cmp.Or(c.Availability, f.CutAt.UnixMicro())
		out.Events = append(out.Events, push.AvailabilityEvent(c, f.At))
	}
	return out
}

// stands reports whether a token is, or may be, marked by f.
func (f *Flag) stands(t *push.Token) bool {
	if t.SeenAt.After(f.CutAt) || t.AddedAt.After(f.CutAt) {
		return false
	}
	return t.Invalid == nil || t.Invalid.Mailing == f.Mailing
}

// flaggedBy reports whether the mark a token has is that of a mailing, and not
// of its age.
func flaggedBy(t *push.Token, mailing string) bool {
	return t.Invalid != nil && t.Invalid.Mailing == mailing && t.Invalid.Code != push.CodeExpired
}

// unflag takes back the flags that a mailing set on tokens of customers, in one
// transaction; never one of another mailing or of a token's age. It answers how
// many, and the events, which are in the outbox until Told. Its count is stored
// with it, so that it counts once whatever becomes of the caller.
func (s *Store) unflag(ctx context.Context, mailing string, tokens []CustomerTokens) (took int, events []push.Event, err error) {
	customers := make([]string, len(tokens))
	for i, t := range tokens {
		customers[i] = t.Customer
	}
	events, err = s.inCustomerTx(ctx, customers, nil, func(b *customerTx) error {
		took = 0
		for _, of := range tokens {
			e := b.byID[of.Customer]
			for _, id := range of.Tokens {
				if t, ok := e.Token(id); ok && flaggedBy(t, mailing) {
					t.Invalid, e.touched = nil, true
					took++
				}
			}
		}
		if took == 0 {
			return nil
		}
		return b.tx.Create(s.unflags(mailing).NewDoc(), unflagCount{Unflagged: int64(took), ExpireAt: s.now().Add(keepUnflags)})
	})
	if err != nil {
		return 0, nil, classify(err, "taking back the flags of mailing %s of %d customers", mailing, len(tokens))
	}
	return took, events, nil
}
