package store

import (
	"context"
	"slices"

	"carillon.example/shared/push"
)

// A CustomerAvailability says whether push can reach a customer, and where.
type CustomerAvailability struct {
	Customer     string
	ValidTokens  int
	Platforms    []push.Platform // platforms of the valid tokens, without "", each once, sorted
	Apps         []string        // apps of the valid tokens, in the same way
	Availability push.Availability
}

// ListAvailabilities lists all customers in the order of their keys, in pages of
// size, starting after the customer with the id after ("": at the beginning). The last
// page has fewer than size.
func (s *Store) ListAvailabilities(ctx context.Context, after string, size int) ([]CustomerAvailability, error) {
	key := ""
	if after != "" {
		key = push.CustomerKey(after)
	}
	q := keyRange(s.customerCollection().Select("id", "tokens", "status", "createdAt"), key, "").Limit(size)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "listing customers after %q", key)
	}

	now := s.currentTimestamp()
	out := make([]CustomerAvailability, 0, len(snaps))
	for _, snap := range snaps {
		c, err := decodeCustomer(snap)
		if err != nil {
			return nil, err
		}
		valid := c.SelectTokens(push.AllDevices)
		r := CustomerAvailability{Customer: c.ID, ValidTokens: len(valid), Availability: c.AvailabilityAt(now)}
		for _, t := range valid {
			r.Platforms, r.Apps = append(r.Platforms, t.Platform), append(r.Apps, t.App)
		}
		r.Platforms, r.Apps = sortedSet(r.Platforms), sortedSet(r.Apps)
		out = append(out, r)
	}

	return out, nil
}

// sortedSet sorts a list and removes duplicates and the empty value.
func sortedSet[T ~string](list []T) []T {
	slices.Sort(list)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(x T) bool { return x == "" })
}
