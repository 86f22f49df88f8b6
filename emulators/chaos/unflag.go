package chaos

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/shared/push"
)

const (
	// unflagAfter is how long unflagEarly waits for the first invalid token. After it
	// the mailing is unflagged anyway.
	unflagAfter = 20 * time.Second
	// unflagWithin is how long the unflagging may take after all mailings have ended.
	unflagWithin = 2 * time.Minute
)

// unflagEarly unflags a mailing as soon as it has set one flag. act sends an action of the
// mailing, here "unflag", until it is answered: see runActions.
func (p *testMailing) unflagEarly(ctx context.Context, c *client.Client, act func(string) error) error {
	for until := time.Now().Add(unflagAfter); time.Now().Before(until); {
		m := &client.Mailing{}
		if err := callUntilAnswered(ctx, c, http.MethodGet, "/v1/mailings/"+p.id, nil, m); err != nil {
			return err
		}
		if m.IsFinal() || m.Tokens.Invalid[push.CodeUnregistered] > 0 {
			break
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
	return act("unflag")
}

// waitForUnflag waits until no customer has a flag of a mailing that was unflagged,
// for unflagWithin at most. The final check reports the flags that are left.
func (c *chaosRun) waitForUnflag(ctx context.Context) error {
	unflaggedMailings := map[string]bool{}
	for _, p := range c.checker.endedMailings {
		if p.kind == faultUnflag {
			unflaggedMailings[p.id] = true
		}
	}
	if len(unflaggedMailings) == 0 {
		return nil
	}

	for until := time.Now().Add(unflagWithin); time.Now().Before(until); {
		left := false
		for k := range c.checker.unflagged {
			flagged, err := c.hasFlagOf(ctx, k.customer, unflaggedMailings)
			if err != nil {
				return err
			}
			left = left || flagged
		}
		if !left || !sleep(ctx, time.Second) {
			break
		}
	}

	return nil
}

// hasFlagOf reports whether a customer has a flag of one of the mailings.
func (c *chaosRun) hasFlagOf(ctx context.Context, customer string, mailings map[string]bool) (bool, error) {
	var s customerView
	err := callUntilAnswered(ctx, c.client, http.MethodGet, "/v1/customers/"+customer, nil, &s)
	if p := client.AsProblem(err); p != nil && p.Status == http.StatusNotFound {
		return false, nil // the customer was erased
	}
	if err != nil {
		return false, fmt.Errorf("reading customer %s: %w", customer, err)
	}
	for _, t := range s.Tokens {
		if t.Invalid != nil && mailings[t.Invalid.Mailing] {
			return true, nil
		}
	}
	return false, nil
}
