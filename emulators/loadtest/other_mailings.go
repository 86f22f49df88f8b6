package loadtest

import (
	"context"
	"fmt"
	"net/http"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/shared/push"
)

// otherMailings are the mailings beside the one that load measures: more mailings to
// everyone, and mailings to everyone at the lowest rate, which wait most of the time.
type otherMailings struct {
	large []string // ids of the mailings that are followed to their end
	rated []string // ids of those that are cancelled at the end
}

// startOtherMailings creates them.
func (p plan) startOtherMailings(ctx context.Context, c *client.Client) (otherMailings, error) {
	var x otherMailings
	draft := map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}}
	for range p.mailings - 1 {
		id, err := c.SendMailing(ctx, draft)
		if err != nil {
			return x, fmt.Errorf("creating another large mailing: %w", err)
		}
		x.large = append(x.large, id)
	}

	draft["ratePerMinute"] = push.MinRate
	for range p.rated {
		id, err := c.SendMailing(ctx, draft)
		if err != nil {
			return x, fmt.Errorf("creating a mailing with a rate: %w", err)
		}
		x.rated = append(x.rated, id)
	}
	return x, nil
}

// finishMailings waits until the large mailings have ended, and cancels the others. It
// returns an error if a large mailing misses a customer or a valid token.
func (x otherMailings) finishMailings(ctx context.Context, c *client.Client, m *Result, invalid int64) error {
	for _, id := range x.large {
		end, err := c.Follow(ctx, id, func(*client.Mailing) {})
		if err != nil {
			return err
		}
		if err := checkOneOfMany(end, m, invalid); err != nil {
			return err
		}
	}

	for _, id := range x.rated {
		if err := c.Call(ctx, http.MethodPost, "/v1/mailings/"+id+"/cancel", nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// checkOneOfMany compares the totals of a mailing with the import. Another mailing may
// have flagged some of the invalid tokens before, so these may be missing.
func checkOneOfMany(end *client.Mailing, m *Result, invalid int64) error {
	t := end.Tokens
	switch {
	case end.Customers.Matched != int64(m.Customers):
		return fmt.Errorf("%d customers were imported, but %d matched in mailing %s", m.Customers, end.Customers.Matched, end.ID)
	case t.Accepted != m.Tokens-invalid:
		return fmt.Errorf("%d tokens are valid, but %d were accepted in mailing %s", m.Tokens-invalid, t.Accepted, end.ID)
	case t.Targeted > m.Tokens:
		return fmt.Errorf("%d tokens were imported, but %d targeted in mailing %s", m.Tokens, t.Targeted, end.ID)
	}
	return nil
}
