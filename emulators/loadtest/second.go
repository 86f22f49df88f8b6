package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/emulators/local"
	"carillon.example/emulators/progress"
)

// secondMeasured has the figures of the second mailing.
type secondMeasured struct {
	Tokens           int64   `json:"tokens"`
	ChangedCustomers int64   `json:"changed_customers"` // who got one more token between the mailings
	Seconds          float64 `json:"seconds"`
	TokensPerSecond  float64 `json:"tokens_per_second"`
	ReadsPerToken    float64 `json:"reads_per_token"`
	WritesPerToken   float64 `json:"writes_per_token"`
	billed
}

// recentTime is how long a change is read again although the roster has it: Firestore sets the
// time of a change a little before it is stored.
const recentTime = time.Minute

// waitForChanges waits until the import is no recent change any more, as in a shop that does
// not import all customers in the minute before a mailing.
// The error is that of ctx.
func waitForChanges(ctx context.Context, out io.Writer) error {
	fmt.Fprintf(out, "waiting %v, so that the changes are not recent\n", recentTime)
	select {
	case <-time.After(recentTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// runSecondMailing changes customers, sends a mailing to everyone once more, and compares its
// totals and its cost with what is expected. m has the figures of the first one.
func (p plan) runSecondMailing(ctx context.Context, l *local.Cloud, c *client.Client, first *Result, invalid int64, out io.Writer) (*secondMeasured, error) {
	changed := int64(float64(p.customers) * p.changed)
	if err := importLines(ctx, c, out, func(w io.Writer) error { return writeNewTokens(w, changed) }); err != nil {
		return nil, err
	}
	if err := waitForChanges(ctx, out); err != nil {
		return nil, err
	}

	s := &secondMeasured{Tokens: first.Tokens - invalid + changed, ChangedCustomers: changed}
	before, began := usageOf(l), time.Now()
	l.Phones.Clear()
	id, err := c.SendMailing(ctx, map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}})
	if err != nil {
		return nil, err
	}

	b := progress.NewBar(out, "second mailing")
	if err := waitForSends(ctx, l, b, s.Tokens); err != nil {
		return nil, err
	}
	end, err := c.Follow(ctx, id, func(x *client.Mailing) { b.Show(x.Tokens.Targeted-x.Tokens.Pending, s.Tokens, x.State) })
	b.End()
	if err != nil {
		return nil, err
	}

	s.Seconds = time.Since(began).Seconds()
	s.TokensPerSecond = float64(s.Tokens) / s.Seconds
	usage := Result{Tokens: s.Tokens}
	usage.setUsage(before, usageOf(l))
	s.billed = usage.billed
	if s.Firestore != nil {
		s.ReadsPerToken = float64(s.Firestore.Reads) / float64(s.Tokens)
		s.WritesPerToken = float64(s.Firestore.Writes) / float64(s.Tokens)
	}
	if end.Tokens.Accepted != s.Tokens {
		return nil, fmt.Errorf("the second mailing: %d tokens are valid, but %d were accepted", s.Tokens, end.Tokens.Accepted)
	}

	return s, s.checkCost(p.customers, invalid)
}

// mostIdle is how long no message may come to FCM before waitForSends ends.
const mostIdle = 30 * time.Second

// waitForSends waits until FCM has got a message for each token, or none for mostIdle. It reads
// nothing from Firestore: each poll of a mailing adds up its batches, and the figures are to be
// those of the mailing, not of somebody who watches it. The error is that of ctx.
func waitForSends(ctx context.Context, l *local.Cloud, b *progress.Bar, tokens int64) error {
	sent, since := int64(0), time.Now()
	for sent < tokens && time.Since(since) < mostIdle {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if n := int64(l.Phones.Stats().Requests); n > sent {
			sent, since = n, time.Now()
		}
		b.Show(sent, tokens, "sent")
	}
	return nil
}

// writeNewTokens writes one more token for each of the first n customers, as NDJSON.
func writeNewTokens(w io.Writer, n int64) error {
	enc := json.NewEncoder(w)
	for i := range n {
		line := map[string]any{"id": loadCustomer(int(i)), "tokens": []map[string]string{{"token": fmt.Sprintf("t%08d-new:%0128x-ok", i, i), "platform": "android"}}}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// checkCost checks that the mailing read rosters: the customers who changed, among them those
// whose tokens the first mailing flagged, one document for each roster and up to one query, and
// 1 % for everything else.
func (s *secondMeasured) checkCost(customers int, flagged int64) error {
	if s.Firestore == nil || s.Tokens < large {
		return nil
	}
	most := s.ChangedCustomers + flagged + 2*rosters + int64(customers)/100
	if s.Firestore.Reads > most {
		return fmt.Errorf("the second mailing needed %d reads, want at most %d", s.Firestore.Reads, most)
	}
	return nil
}
