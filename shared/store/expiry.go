package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// sweptAtOnce is how many customers are swept at the same time.
const sweptAtOnce = 16

// faultsNamed is how many failed customers an error names.
const faultsNamed = 3

// The fields with the day on which something of a customer changes.
const (
	fieldExpires = "expires"  // a token becomes invalid
	fieldSilent  = "silentOn" // no token was seen for push.StaleAfter
)

// An ExpiryCursor says where ExpireTokens continues; the zero value is the start.
type ExpiryCursor struct {
	field, day, key string
}

// ExpiryResult is the result of one call of ExpireTokens.
type ExpiryResult struct {
	Customers int          // how many were handled
	Events    []push.Event // in the outbox until MarkEventsPublished
	Next      ExpiryCursor // after the last customer that was handled
	All       bool         // no customer is left after them
}

// ExpireTokens handles at most limit customers after the cursor whose day has come. It
// flags tokens that are too old. Then it records as silent the customers of whom no token was
// seen for push.StaleAfter. Last it removes traces of erased customers. The error names the
// first customers that failed. Next is after them, so that the others do not wait for them.
func (s *Store) ExpireTokens(ctx context.Context, after ExpiryCursor, limit int) (ExpiryResult, error) {
	var out ExpiryResult
	var fault error
	if after.field != fieldSilent {
		out, fault = s.sweepCustomers(ctx, fieldExpires, after, limit, s.expireTokensOf)
		if !out.All {
			return out, fault
		}
		after = ExpiryCursor{}
	}

	silent, err := s.sweepCustomers(ctx, fieldSilent, after, limit-out.Customers, s.recordSilence)
	out.Customers += silent.Customers
	out.Events = append(out.Events, silent.Events...)
	out.Next, out.All = silent.Next, silent.All
	if out.All {
		err = errors.Join(err, s.finishErasures(ctx))
	}
	return out, errors.Join(fault, err)
}

// sweepCustomers calls f for at most limit customers after the cursor whose day in a field has
// come.
func (s *Store) sweepCustomers(ctx context.Context, field string, after ExpiryCursor, limit int, f func(context.Context, string) ([]push.Event, error)) (ExpiryResult, error) {
	q := s.customerCollection().Where(field, "<=", push.DayOf(s.now())).OrderBy(field, firestore.Asc).
		OrderBy(firestore.DocumentID, firestore.Asc).Select("id", field).Limit(limit)
	if after.key != "" {
		q = q.StartAfter(after.day, after.key)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return ExpiryResult{Next: after}, classifyError(err, "listing the customers whose day has come (%s)", field)
	}

	out := ExpiryResult{Customers: len(snaps), Next: ExpiryCursor{field, after.day, after.key}, All: len(snaps) < limit}
	var mu sync.Mutex // guards out.Events and faults
	var faults []error
	var g errgroup.Group
	g.SetLimit(sweptAtOnce)
	for _, snap := range snaps {
		g.Go(func() error {
			events, err := sweepCustomer(ctx, snap, f)
			mu.Lock()
			defer mu.Unlock()
			out.Events = append(out.Events, events...)
			if err != nil && len(faults) < faultsNamed {
				faults = append(faults, err)
			}
			return nil
		})
	}
	_ = g.Wait() // faults has what went wrong

	if n := len(snaps); n > 0 {
		day, _ := snaps[n-1].Data()[field].(string)
		out.Next = ExpiryCursor{field, day, snaps[n-1].Ref.ID}
	}
	return out, errors.Join(faults...)
}

// sweepCustomer calls f for one customer of the list.
func sweepCustomer(ctx context.Context, snap *firestore.DocumentSnapshot, f func(context.Context, string) ([]push.Event, error)) ([]push.Event, error) {
	id, ok := snap.Data()["id"].(string)
	if !ok {
		return nil, fmt.Errorf("customer %s has no id", snap.Ref.ID)
	}
	return f(ctx, id)
}

// expireTokensOf flags the tokens of a customer whose day has come. The day is computed again,
// because the setting may have changed.
func (s *Store) expireTokensOf(ctx context.Context, id string) ([]push.Event, error) {
	events, err := s.inCustomerTx(ctx, []string{id}, nil, func(b *customerTx) error {
		e, today := b.byID[id], push.DayOf(b.now)
		for i := range e.Tokens {
			t := &e.Tokens[i]
			if !t.Valid() || t.Expires == "" || t.Expires > today {
				continue
			}
			if t.Expires = push.ExpiryDay(t.Platform, t.SeenAt, s.tokenLife); t.Expires == "" || t.Expires > today {
				e.changed = true
				continue
			}
			t.Invalid = &push.TokenFlag{Code: push.CodeExpired, At: b.now}
			e.touched, e.newlyFlagged = true, append(e.newlyFlagged, t.ID)
		}
		return nil
	})

	return events, classifyError(err, "expiring tokens of customer %s", push.CustomerKey(id))
}

// recordSilence records that a customer has become silent. If a token was seen meanwhile, it
// stores the new day instead.
func (s *Store) recordSilence(ctx context.Context, id string) ([]push.Event, error) {
	events, err := s.inCustomerTx(ctx, []string{id}, nil, func(b *customerTx) error {
		e := b.byID[id]
		e.changed = e.stored
		e.touched = e.stored && e.AvailabilityAt(b.now).State != e.Reported.State
		return nil
	})
	return events, classifyError(err, "recording that customer %s is silent", push.CustomerKey(id))
}
