package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/emulators/client"
	"carillon.example/shared/push"
)

const (
	// maxReportingPhones is how many phones report of one mailing or message.
	maxReportingPhones = 60
	// eventsARequest is how many events one request has.
	eventsARequest = 40
)

// reportOpens reports what phones did with a mailing or message that has ended: each
// event twice, in any order, and as many events of unknown tokens. Then the counts that
// the API shows at path must be exactly these.
func (c *chaosRun) reportOpens(ctx context.Context, path, id string, targets []push.Target) error {
	var events []map[string]any
	var want push.Reported
	add := func(typ push.ReportType, customer, token string) {
		e := map[string]any{"mailing": id, "customer": customer, "token": token, "type": typ, "at": time.Now().Add(-time.Hour).UTC()}
		events = append(events, e, e)
	}
	for _, t := range targets {
		if q := c.checker.byID[t.Customer]; q == nil || q.damaged || q.erasable {
			continue
		}
		if want.Delivered == maxReportingPhones {
			break
		}
		add(push.ReportDelivered, t.Customer, t.Token)
		want.Delivered++
		if want.Delivered%3 == 0 {
			add(push.ReportOpened, t.Customer, t.Token)
			want.Opened++
		}
		add(push.ReportOpened, t.Customer, t.Token+"-of-nobody")
	}

	rand.Shuffle(len(events), func(i, k int) { events[i], events[k] = events[k], events[i] })
	g, sending := errgroup.WithContext(ctx)
	for ; len(events) > 0; events = events[min(eventsARequest, len(events)):] {
		body := map[string]any{"events": events[:min(eventsARequest, len(events))]}
		g.Go(func() error {
			var answer push.ReportResult
			return callUntilAnswered(sending, c.client, http.MethodPost, "/v1/events", body, &answer)
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("reporting what phones did with %s: %w", id, err)
	}
	got, err := c.readReported(ctx, path)
	if err != nil {
		return err
	}
	c.checker.checkReported(id, got, want)
	return nil
}

func (c *chaosRun) readReported(ctx context.Context, path string) (push.Reported, error) {
	var shown struct{ Reported push.Reported }
	err := callUntilAnswered(ctx, client.New(c.client.BaseURL), http.MethodGet, path, nil, &shown)
	return shown.Reported, err
}

// checkReported compares what the API says phones reported with what they did.
func (x *checker) checkReported(id string, got, want push.Reported) {
	if got != want {
		x.addFinding(brokenSums, "phones reported %+v of %s, the API shows %+v", want, id, got)
	}
	x.totalsMu.Lock()
	defer x.totalsMu.Unlock()
	x.totals.Reports += int(want.Delivered + want.Opened)
}

// allTargets returns the targets of every batch.
func (b *mailingLog) allTargets() (out []push.Target) {
	for _, batch := range b.batches {
		out = append(out, batch.targets...)
	}
	return out
}

// targetsOfMessage returns the tokens that a settled message to a customer was for.
func targetsOfMessage(q *testCustomer, stored map[string]any) (out []push.Target) {
	recipients, _ := stored["recipients"].([]byte)
	results, _ := stored["results"].([]byte)
	if len(results) == 0 {
		return nil
	}
	found, err := push.FindRecipients(recipients, make([]push.Result, len(results)), push.CustomerKey(q.id))
	if err != nil {
		return nil // readMessage has reported it
	}
	for _, y := range q.tokens {
		for _, r := range found {
			if r.TokenID == push.TokenID(y.token) {
				out = append(out, push.Target{Customer: q.id, Token: y.token})
			}
		}
	}
	return out
}
