package store

import (
	"context"
	"errors"
	"sync"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// expiring is how many customers are swept side by side.
const expiring = 16

// ExpireTokens looks after at most limit customers whose day has come: tokens
// that are too old are marked invalid, and customers of whom no token was seen
// for push.StaleAfter turn silent. At last it removes what is left of
// customers who were erased. It answers how many customers it has looked at
// and the events, which are in the outbox until Told. Fewer customers than limit:
// nothing more is due.
func (s *Store) ExpireTokens(ctx context.Context, limit int) (int, []push.Event, error) {
	n, events, err := s.sweep(ctx, "expires", limit, s.expire)
	if err != nil || n == limit {
		return n, events, err
	}

	silent, more, err := s.sweep(ctx, "silentOn", limit-n, s.silence)
	return n + silent, append(events, more...), errors.Join(err, s.finishErasures(ctx))
}

// sweep calls f for at most limit customers whose field names a day that has
// come.
func (s *Store) sweep(ctx context.Context, field string, limit int, f func(context.Context, string) ([]push.Event, error)) (int, []push.Event, error) {
	q := s.customers().Where(field, "<=", push.Day(s.now())).OrderBy(field, firestore.Asc).Select("id").Limit(limit)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return 0, nil, classify(err, "listing the customers whose day has come (%s)", field)
	}

	var mu sync.Mutex
	var events []push.Event
	var g errgroup.Group
	g.SetLimit(expiring)
	for _, snap := range snaps {
		g.Go(func() error {
			id, _ := snap.Data()["id"].(string)
			told, err := f(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			events = append(events, told...)
			return err
		})
	}
	err = g.Wait()
	return len(snaps), events, err
}

// expire marks a customer's tokens whose day has come. The day is reckoned
// again by the setting as it is now.
func (s *Store) expire(ctx context.Context, id string) ([]push.Event, error) {
	events, err := s.inBook(ctx, []string{id}, nil, func(b *book) error {
		e, today := b.byID[id], push.Day(b.now)
		for i := range e.Tokens {
			t := &e.Tokens[i]
			if !t.Valid() || t.Expires == "" || t.Expires > today {
				continue
			}
			if t.Expires = push.ExpiryDay(t.Platform, t.SeenAt, s.tokenLife); t.Expires == "" || t.Expires > today {
				e.changed = true
				continue
			}
			t.Invalid = &push.Invalid{Code: push.CodeExpired, At: b.now}
			e.touched, e.dead = true, append(e.dead, t.ID)
		}
		return nil
	})
	return events, classify(err, "expiring tokens of customer %s", push.CustomerKey(id))
}

// silence notes that a customer has turned silent, and finds the day anew where a
// token was seen meanwhile.
func (s *Store) silence(ctx context.Context, id string) ([]push.Event, error) {
	events, err := s.inBook(ctx, []string{id}, nil, func(b *book) error {
		e := b.byID[id]
		e.changed = e.stored
		e.touched = e.stored && e.AvailabilityAt(b.now).State != e.Reported.State
		return nil
	})
	return events, classify(err, "noting that customer %s is silent", push.CustomerKey(id))
}
