package store

import (
	"context"

	"carillon.example/shared/push"
)

// StillOwed tells for each target whether it may still be rung: its customer
// still has the token, valid, and has not opted out since.
func (s *Store) StillOwed(ctx context.Context, m *push.Mailing, targets []push.Target) ([]bool, error) {
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = t.Customer
	}
	customers, err := s.readCustomers(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(targets))
	for i, t := range targets {
		c := customers[t.Customer]
		if c == nil || c.Exclude(m.Category) != push.NotExcluded {
			continue
		}
		token, ok := c.Token(push.TokenID(t.Token))
		out[i] = ok && token.Valid()
	}
	return out, nil
}

// readCustomers reads customers by their ids, outside of any transaction. Those
// nobody knows are not in the answer.
func (s *Store) readCustomers(ctx context.Context, ids []string) (map[string]*push.Customer, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = push.CustomerKey(id)
	}
	all, out := s.byKeys(keys), map[string]*push.Customer{}
	for after := ""; ; {
		p, err := all.Page(ctx, after, "", 500)
		if err != nil {
			return nil, err
		}
		for _, m := range p.Members {
			if m.Customer != nil {
				out[m.Customer.ID] = m.Customer
			}
		}
		if after = p.Last; after == "" {
			return out, nil
		}
	}
}
