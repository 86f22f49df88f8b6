package store

import (
	"context"
	"sync"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// expiring is how many customers are swept side by side.
const expiring = 16

// ExpireTokens marks the tokens of at most limit customers invalid whose day
// has come, and answers how many customers it has looked at and the events,
// which are in the outbox until Told. Fewer customers than limit: nothing more
// is due.
func (s *Store) ExpireTokens(ctx context.Context, limit int) (int, []push.Event, error) {
	q := s.customers().Where("expires", "<=", push.Day(s.now())).OrderBy("expires", firestore.Asc).Select("id").Limit(limit)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return 0, nil, classify(err, "listing the customers with tokens to expire")
	}
	var mu sync.Mutex
	var events []push.Event
	var g errgroup.Group
	g.SetLimit(expiring)
	for _, snap := range snaps {
		g.Go(func() error {
			id, _ := snap.Data()["id"].(string)
			told, err := s.expire(ctx, id)
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
