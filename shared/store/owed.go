package store

import (
	"context"

	"carillon.example/shared/push"
)

// StillOwed tells for each target whether it may still be rung: its customer
// still has the token, valid, and has not opted out since.
func (s *Store) StillOwed(ctx context.Context, m *push.Mailing, targets []push.Target) ([]bool, error) {
	var keys []string
	for _, t := range targets {
		keys = append(keys, push.CustomerKey(t.Customer))
	}
	have := s.byKeys(keys)
	customers := map[string]*push.Customer{}
	for after := ""; ; {
		p, err := have.Page(ctx, after, "", 500)
		if err != nil {
			return nil, err
		}
		for _, member := range p.Members {
			customers[member.Key] = member.Customer
		}
		if after = p.Last; after == "" {
			break
		}
	}
	out := make([]bool, len(targets))
	for i, t := range targets {
		c := customers[keys[i]]
		if c == nil || c.Exclude(m.Category) != push.NotExcluded {
			continue
		}
		token, ok := c.Token(push.TokenID(t.Token))
		out[i] = ok && token.Valid()
	}
	return out, nil
}
