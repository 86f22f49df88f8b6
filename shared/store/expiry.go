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

// expiring is how many customers are swept side by side.
const expiring = 16

// faultsNamed is how many customers that cannot be swept an error names.
const faultsNamed = 3

// An ExpiryCursor says where ExpireTokens goes on; the zero value is the start.
type ExpiryCursor struct {
	day, key string
}

// Expired is what one call of ExpireTokens did.
type Expired struct {
	Customers int          // looked at
	Events    []push.Event // in the outbox until Told
	Next      ExpiryCursor // behind the last customer looked at
	All       bool         // nobody is behind them
}

// ExpireTokens marks the tokens of at most limit customers invalid whose day
// has come, of those behind the cursor. Next is also behind customers who cannot
// be swept: the error names the first, and they keep nobody behind them waiting.
func (s *Store) ExpireTokens(ctx context.Context, after ExpiryCursor, limit int) (Expired, error) {
	q := s.customers().Where("expires", "<=", push.Day(s.now())).OrderBy("expires", firestore.Asc).
		OrderBy(firestore.DocumentID, firestore.Asc).Select("id", "expires").Limit(limit)
	if after.key != "" {
		q = q.StartAfter(after.day, after.key)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return Expired{Next: after}, classify(err, "listing the customers with tokens to expire")
	}

	out := Expired{Customers: len(snaps), Next: after, All: len(snaps) < limit}
	var mu sync.Mutex
	var faults []error
	var g errgroup.Group
	g.SetLimit(expiring)
	for _, snap := range snaps {
		g.Go(func() error {
			told, err := s.expireOne(ctx, snap)
			mu.Lock()
			defer mu.Unlock()
			out.Events = append(out.Events, told...)
			if err != nil && len(faults) < faultsNamed {
				faults = append(faults, err)
			}
			return nil
		})
	}
	_ = g.Wait() // faults has what went wrong

	if n := len(snaps); n > 0 {
		day, _ := snaps[n-1].Data()["expires"].(string)
		out.Next = ExpiryCursor{day, snaps[n-1].Ref.ID}
	}
	return out, errors.Join(faults...)
}

// expireOne sweeps a customer of the list.
func (s *Store) expireOne(ctx context.Context, snap *firestore.DocumentSnapshot) ([]push.Event, error) {
	id, ok := snap.Data()["id"].(string)
	if !ok {
		return nil, fmt.Errorf("customer %s has no id", snap.Ref.ID)
	}
	return s.expire(ctx, id)
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
