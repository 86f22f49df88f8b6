package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/emulators/instances"
	"carillon.example/shared/push"
)

const (
	// messagesEvery is the interval between two messages to one customer.
	messagesEvery = 250 * time.Millisecond
	// messageBatch is the name of the only batch of a message, in the log of deliver's
	// calls and in the sendLog.
	messageBatch = instances.MessageBatch
)

// sendMessages submits messages to customers whose tokens do not change, until
// faultCtx ends, and checks each message after it has settled.
func (c *chaosRun) sendMessages(ctx, faultCtx context.Context, lives *sync.WaitGroup) {
	var stable []*testCustomer
	for _, q := range c.customers.all {
		if q.stable && !q.damaged {
			stable = append(stable, q)
		}
	}
	if len(stable) == 0 {
		return
	}

	r := rand.New(rand.NewPCG(c.Seed, 5))
	run := strconv.FormatInt(c.startedAt.UnixNano(), 36)
	for n := 0; sleep(faultCtx, messagesEvery); n++ {
		q, twice := stable[r.IntN(len(stable))], r.Float64() < 0.3
		lives.Go(func() {
			if err := c.runMessage(ctx, q, fmt.Sprintf("message-%s-%d", run, n), twice); err != nil {
				c.checker.addFinding(brokenLost, "%v", err)
			}
		})
	}
}

// runMessage submits one message, waits until it has settled and checks it.
func (c *chaosRun) runMessage(ctx context.Context, q *testCustomer, key string, twice bool) error {
	id, err := c.submitMessage(ctx, q, key, twice)
	if err != nil {
		return err
	}
	var stored map[string]any
	for {
		snap, err := c.reader.db.Doc("messages/" + id).Get(ctx)
		if err == nil {
			if stored = snap.Data(); stored["settled"] == true {
				break
			}
		} else if status.Code(err) == codes.NotFound {
			return fmt.Errorf("message %s was accepted, and is not stored", id)
		}
		if !sleep(ctx, time.Second) {
			return fmt.Errorf("message %s is still %v: %w", id, stored["state"], errors.Join(err, ctx.Err()))
		}
	}

	sleep(ctx, quietAfterEnd)
	c.checker.checkMessage(id, q, c.sendLog.closeMailing(id), stored)
	c.checker.calls.DeleteMailing(id)
	return c.reportOpens(ctx, "/v1/messages/"+id, id, targetsOfMessage(q, stored))
}

// submitMessage sends a message to the API until it gets an answer, in some cases
// twice at the same time. It returns the message's id.
func (c *chaosRun) submitMessage(ctx context.Context, q *testCustomer, key string, twice bool) (string, error) {
	api := client.New(c.client.BaseURL)
	api.HTTP = &http.Client{Timeout: time.Minute, Transport: idempotentTransport{key, http.DefaultTransport}}
	draft := map[string]any{"customer": q.id, "message": demo.TriggerMessage, "values": map[string]any{"points": 5}, "devices": "all"}
	var ids [2]string
	var errs [2]error
	var all sync.WaitGroup
	for i := range ids {
		if i == 1 && !twice {
			break
		}
		all.Go(func() {
			var m struct{ ID string }
			errs[i] = callUntilAnswered(ctx, api, http.MethodPost, "/v1/messages", draft, &m)
			ids[i] = m.ID
		})
	}

	all.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return "", fmt.Errorf("submitting a message to customer %s: %w", q.id, err)
	}
	if twice && ids[0] != ids[1] {
		return "", fmt.Errorf("two requests with one Idempotency-Key made two messages, %s and %s", ids[0], ids[1])
	}
	return ids[0], nil
}

// checkMessage checks a settled message, as a mailing of one batch.
func (x *checker) checkMessage(id string, q *testCustomer, b *mailingLog, stored map[string]any) {
	x.totalsMu.Lock()
	defer x.totalsMu.Unlock()
	reason, _ := stored["reason"].(string)
	o := &mailingCheck{checker: x, log: b, targets: map[tokenKey]targetResult{},
		mailing: &testMailing{id: id, kind: "message", final: &client.Mailing{State: string(push.Completed)}},
		stored:  map[string]storedBatch{messageBatch: {reason: reason}}}
	o.readMessage(q, stored)

	switch excluded, _ := stored["excluded"].(string); {
	case q.optedOut && excluded != string(push.ExcludedOptedOut):
		o.addFinding(brokenOther, "message %s to customer %s, who opted out, is excluded as %q", id, q.id, excluded)
	case !q.optedOut && excluded != "" && q.countValid() > 0:
		o.addFinding(brokenLost, "message %s to customer %s is excluded as %q", id, q.id, excluded)
	case !q.optedOut && excluded == "":
		o.checkTokensOf(q)
	}
	o.checkResults()
	newDuplicateCheck(o).check()
	o.checkSendCounts()
	o.addToTotals()
	x.totals.Mailings--
	x.totals.States[string(push.Completed)]--
	x.totals.Messages++
}

// readMessage reads the tokens that the message went to, and their results.
func (o *mailingCheck) readMessage(q *testCustomer, stored map[string]any) {
	recipients, _ := stored["recipients"].([]byte)
	bytes, _ := stored["results"].([]byte)
	at, _ := stored["pickedAt"].(time.Time)
	results := make([]push.Result, len(bytes))
	for i, r := range bytes {
		results[i] = push.Result(r)
	}
	if len(results) == 0 {
		return
	}

	found, err := push.FindRecipients(recipients, results, push.CustomerKey(q.id))
	if err != nil {
		o.addFinding(brokenOther, "message %s: %v", o.mailing.id, err)
	}
	tokens := map[string]string{}
	for _, y := range q.tokens {
		tokens[push.TokenID(y.token)] = y.token
	}
	for _, r := range found {
		o.targets[tokenKey{q.id, tokens[r.TokenID]}] = targetResult{push.BatchRef{Mailing: o.mailing.id, Batch: messageBatch}, at, r.Result}
		o.tally[r.Result]++
		if r.Result == push.ResultPending {
			o.addFinding(brokenLost, "settled message %s has a token without a result", o.mailing.id)
		}
	}
}
