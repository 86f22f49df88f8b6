package store

import (
	"context"

	"carillon.example/shared/push"
)

// A Reach says how far push reaches a customer.
type Reach struct {
	Customer    string
	ValidTokens int
}

// Reaches lists all customers, size a page, in the order of their keys, behind
// the customer with the id after ("" begins at the start). A page with fewer
// than size is the last.
func (s *Store) Reaches(ctx context.Context, after string, size int) ([]Reach, error) {
	key := ""
	if after != "" {
		key = push.CustomerKey(after)
	}
	q := keyRange(s.customers().Select("id", "devices"), key, "").Limit(size)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classify(err, "listing customers behind %q", key)
	}
	out := make([]Reach, 0, len(snaps))
	for _, snap := range snaps {
		c, err := decodeCustomer(snap)
		if err != nil {
			return nil, err
		}
		out = append(out, Reach{c.ID, len(c.Select(push.All))})
	}
	return out, nil
}
