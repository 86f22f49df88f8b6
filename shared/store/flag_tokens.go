package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

const (
	// customersPerFlagging is how many customers one transaction flags, in three
	// round trips. More customers would be locked together, and for a longer time.
	customersPerFlagging = 20
	// flaggingsAtOnce is how many such transactions run at the same time.
	flaggingsAtOnce = 8
)

// FlagTokens sets the flags of one mailing as FlagToken does, and returns a result for
// each, in their order. A result's Err is about that flag alone. First it reads all
// customers at once; only those whose document changes cost a transaction. So a call
// that is repeated after a crash costs little more than its reads.
func (s *Store) FlagTokens(ctx context.Context, flags []Flag) []FlagResult {
	out := make([]FlagResult, len(flags))
	customers, err := s.readFlaggedCustomers(ctx, flags)
	if err != nil {
		err = classifyError(err, "reading the customers of %d invalid tokens", len(flags))
	}

	of := map[string][]int{} // the flags to set, by customer, because they change the same document
	var order []string
	for i := range flags {
		f := &flags[i]
		f.At = f.At.UTC().Truncate(time.Microsecond)
		c := customers[f.Customer]
		switch {
		case err != nil:
			out[i].Err = err
		case c == nil:
			out[i].Err = fmt.Errorf("flagging token %s of customer %s: %w", f.TokenID, push.CustomerKey(f.Customer), ErrUndecodable)
		case f.changesCustomer(c):
			if of[f.Customer] == nil {
				order = append(order, f.Customer)
			}
			of[f.Customer] = append(of[f.Customer], i)
		default:
			out[i] = f.resultWithoutChange(c, c.HasValidToken())
		}
	}

	var g errgroup.Group
	g.SetLimit(flaggingsAtOnce)
	for group := range slices.Chunk(order, customersPerFlagging) {
		g.Go(func() error {
			s.flagGroup(ctx, group, of, flags, out)
			return nil
		})
	}
	_ = g.Wait() // it is nil: each result has its own error
	return out
}

// flagGroup flags customers in one transaction. If that fails, it flags each in its own
// transaction, so that a broken customer does not affect the others.
func (s *Store) flagGroup(ctx context.Context, customers []string, of map[string][]int, flags []Flag, out []FlagResult) {
	var indexes []int
	var group []Flag
	for _, id := range customers {
		indexes = append(indexes, of[id]...)
	}

	for _, i := range indexes {
		group = append(group, flags[i])
	}

	results, err := s.flagInTransaction(ctx, group)
	switch {
	case err == nil:
		for k, i := range indexes {
			out[i] = results[k]
		}
	case len(customers) > 1 && ctx.Err() == nil:
		for _, id := range customers {
			s.flagGroup(ctx, []string{id}, of, flags, out)
		}
	default:
		for _, i := range indexes {
			out[i].Err = classifyError(err, "flagging token %s of mailing %s", flags[i].TokenID, flags[i].Mailing)
		}
	}
}

// readFlaggedCustomers reads the customers of flags, without a transaction. An unknown customer is
// returned without tokens, one that cannot be decoded as nil.
func (s *Store) readFlaggedCustomers(ctx context.Context, flags []Flag) (map[string]*push.Customer, error) {
	ids := make([]string, len(flags))
	for i, f := range flags {
		ids[i] = f.Customer
	}
	ids = uniqueStrings(ids)
	return s.readCustomers(ctx, ids, func(id string) *push.Customer {
		now := s.currentTimestamp()
		return &push.Customer{ID: id, CreatedAt: now, Version: now.UnixMicro()}
	})
}

// readCustomers reads customers by their ids. A customer that cannot be decoded is nil in
// the result; for one without a document the result is unknown(id).
func (s *Store) readCustomers(ctx context.Context, ids []string, unknown func(id string) *push.Customer) (map[string]*push.Customer, error) {
	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		refs[i] = s.customerDocument(id)
	}

	snaps, err := s.db.GetAll(ctx, refs)
	if err != nil {
		return nil, err
	}

	out := make(map[string]*push.Customer, len(ids))
	for i, snap := range snaps {
		if !snap.Exists() {
			out[ids[i]] = unknown(ids[i])
			continue
		}
		c, err := decodeCustomer(snap)
		if err != nil {
			c = nil
		}
		out[ids[i]] = c
	}

	return out, nil
}

// changesCustomer reports whether f changes the customer: the token is there, valid, and
// not registered again since.
func (f *Flag) changesCustomer(c *push.Customer) bool {
	t, ok := c.FindToken(f.TokenID)
	return ok && t.Invalid == nil && f.appliesTo(t)
}
