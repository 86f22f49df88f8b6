package store

import (
	"context"
	"slices"

	"carillon.example/shared/push"
)

// A CustomerAvailability says how far push reaches a customer.
type CustomerAvailability struct {
	Customer     string
	ValidTokens  int
	Platforms    []push.Platform // of the valid tokens, each once, in order; "" is left out
	Apps         []string        // the same
	Availability push.Availability
}

// CustomerAvailabilities lists all customers, size a page, in the order of their keys, behind
// the customer with the id after ("" begins at the start). A page with fewer
// than size is the last.
func (s *Store) CustomerAvailabilities(ctx context.Context, after string, size int) ([]CustomerAvailability, error) {
	key := ""
	if after != "" {
		key = push.CustomerKey(after)
	}
	q := keyRange(s.customers().Select("id", "devices", "status", "createdAt"), key, "").Limit(size)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classify(err, "listing customers behind %q", key)
	}

	now := s.timestamp()
	out := make([]CustomerAvailability, 0, len(snaps))
	for _, snap := range snaps {
		c, err := decodeCustomer(snap)
		if err != nil {
			return nil, err
		}
		valid := c.Select(push.AllDevices)
		r := CustomerAvailability{Customer: c.ID, ValidTokens: len(valid), Availability: c.AvailabilityAt(now)}
		for _, t := range valid {
			r.Platforms, r.Apps = append(r.Platforms, t.Platform), append(r.Apps, t.App)
		}
		r.Platforms, r.Apps = distinct(r.Platforms), distinct(r.Apps)
		out = append(out, r)
	}
	return out, nil
}

// distinct sorts a list, and keeps each value but the empty one once.
func distinct[T ~string](list []T) []T {
	slices.Sort(list)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(x T) bool { return x == "" })
}
