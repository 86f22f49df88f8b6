package loadtest

import (
	"context"
	"fmt"
	"net/http"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/shared/push"
)

// A crowd is the set of mailings beside the one that load measures: more mailings to
// everyone, and mailings to everyone at the lowest rate, which wait most of the time.
type crowd struct {
	large []string // ids of the mailings that are followed to their end
	rated []string // ids of those that are cancelled at the end
}

// startCrowd creates the mailings of the crowd.
func (p plan) startCrowd(ctx context.Context, c *client.Client) (crowd, error) {
	var x crowd
	draft := map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}}
	for range p.mailings - 1 {
		id, err := c.SendMailing(ctx, draft)
		if err != nil {
			return x, fmt.Errorf("handing in another large mailing: %w", err)
		}
		x.large = append(x.large, id)
	}

	draft["ratePerMinute"] = push.MinRate
	for range p.rated {
		id, err := c.SendMailing(ctx, draft)
		if err != nil {
			return x, fmt.Errorf("handing in a mailing with a rate: %w", err)
		}
		x.rated = append(x.rated, id)
	}
	return x, nil
}

// finishMailings waits until the large mailings have ended, and cancels the others. It
// returns an error if a large mailing misses a customer or a good token.
func (x crowd) finishMailings(ctx context.Context, c *client.Client, m *Result, gone int64) error {
	for _, id := range x.large {
		end, err := c.Follow(ctx, id, func(*client.Mailing) {})
		if err != nil {
			return err
		}
		if err := checkOneOfMany(end, m, gone); err != nil {
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
func checkOneOfMany(end *client.Mailing, m *Result, gone int64) error {
	t := end.Tokens
	switch {
	case end.Customers.Matched != int64(m.Customers):
		return fmt.Errorf("%d customers were imported, %d matched by mailing %s", m.Customers, end.Customers.Matched, end.ID)
	case t.Accepted != m.Tokens-gone:
		return fmt.Errorf("%d tokens are good, %d were accepted of mailing %s", m.Tokens-gone, t.Accepted, end.ID)
	case t.Targeted > m.Tokens:
		return fmt.Errorf("%d tokens were imported, %d targeted by mailing %s", m.Tokens, t.Targeted, end.ID)
	}
	return nil
}
