package store

import (
	"context"

	"carillon.example/shared/push"
)

// RecheckTargets reports for each target whether it may still be sent to: its customer still
// has the token, valid, and has not opted out since. A customer whose document cannot be
// decoded may not, because an objection could be in it; broken has the keys of those.
func (s *Store) RecheckTargets(ctx context.Context, m *push.Mailing, targets []push.Target) (owed []bool, broken []string, err error) {
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = t.Customer
	}

	ids = uniqueStrings(ids)
	customers, err := s.readCustomers(ctx, ids, func(id string) *push.Customer { return &push.Customer{ID: id} })
	if err != nil {
		return nil, nil, classifyError(err, "reading the customers of %d targets of mailing %s", len(targets), m.ID)
	}

	owed = make([]bool, len(targets))
	for i, t := range targets {
		c := customers[t.Customer]
		if c == nil || c.ExclusionFrom(m.Category) != push.NotExcluded {
			continue
		}
		token, ok := c.FindToken(push.TokenID(t.Token))
		owed[i] = ok && token.Valid()
	}

	for _, id := range ids {
		if customers[id] == nil {
			broken = append(broken, push.CustomerKey(id))
		}
	}

	return owed, broken, nil
}
