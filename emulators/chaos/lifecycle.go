package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
)

// submitMailings submits mailings until faultCtx ends, and follows each to its end.
func (c *chaosRun) submitMailings(ctx, faultCtx context.Context, lives *sync.WaitGroup) {
	r := rand.New(rand.NewPCG(c.Seed, 3))
	run := strconv.FormatInt(c.startedAt.UnixNano(), 36)
	slots, kinds := make(chan struct{}, maxActiveMailings), c.Faults.mailingKinds()
	for n := 0; faultCtx.Err() == nil; n++ {
		select {
		case slots <- struct{}{}:
		case <-faultCtx.Done():
			return
		}

		p, twice := newTestMailing(n, kinds, c.customers, r), r.Float64() < 0.3
		own := rand.New(rand.NewPCG(c.Seed, uint64(1000+n)))
		lives.Go(func() {
			if err := c.runMailing(ctx, p, run, twice, own, func() { <-slots }); err != nil {
				c.checker.addFinding(brokenLost, "%v", err)
			}
		})
		sleep(faultCtx, time.Duration(1000+r.IntN(5000))*time.Millisecond)
	}
}

// runMailing submits a mailing, follows it to its end and checks it. It calls done
// when another mailing may start.
func (c *chaosRun) runMailing(ctx context.Context, p *testMailing, run string, twice bool, r *rand.Rand, done func()) error {
	free := sync.OnceFunc(done)
	defer free()
	if err := p.submit(ctx, c.client.BaseURL, run, twice); err != nil {
		return err
	}

	if c.Faults.makesFCMUnreliable() {
		p.fcmUnreliable = c.injector.fcmUnreliable
	}
	if p.poisonToken != "" {
		c.crasher.addMailing(p.id, p.poisonToken)
	}
	if err := p.runActions(ctx, c.client, r, c.checker.addFinding); err != nil {
		return err
	}

	free()
	for {
		inactive, err := c.reader.isInactive(ctx, p.id)
		if err == nil && inactive {
			break
		}
		if !sleep(ctx, time.Second) {
			return fmt.Errorf("mailing %s has ended, and is still active for tick: %w", p.id, errors.Join(err, ctx.Err()))
		}
	}

	sleep(ctx, quietAfterEnd)
	stored, err := c.reader.readBatches(ctx, p.id)
	for ; err != nil && sleep(ctx, time.Second); stored, err = c.reader.readBatches(ctx, p.id) {
	}
	if err != nil {
		return err
	}

	log := c.sendLog.closeMailing(p.id)
	c.checker.checkMailing(p, log, stored)
	c.checker.calls.DeleteMailing(p.id)
	if err := c.reportOpens(ctx, "/v1/mailings/"+p.id, p.id, log.allTargets()); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%5.0fs  %-9s %s %-9s %6d tokens, %d accepted, %d invalid\n", time.Since(c.startedAt).Seconds(), p.kind, p.id, p.final.State,
		p.final.Tokens.Targeted, p.final.Tokens.Accepted, p.final.Tokens.Invalid["UNREGISTERED"])
	return nil
}

// publishTicks does the work of Cloud Scheduler. While there are faults, ticks come
// early and late.
func (c *chaosRun) publishTicks(ctx, faultCtx context.Context) {
	client, err := pubsub.NewClient(ctx, c.cloud.Project)
	if err != nil {
		c.checker.addFinding(brokenOther, "the ticks do not reach Pub/Sub: %v", err)
		return
	}

	defer client.Close()
	p := client.Publisher("tick")
	defer p.Stop()
	r := rand.New(rand.NewPCG(c.Seed, 4))
	for {
		next := time.Second
		if faultCtx.Err() == nil {
			next = time.Duration(r.IntN(3000)) * time.Millisecond
			if r.Float64() < 0.05 {
				next = 15 * time.Second
			}
		}
		if !sleep(ctx, next) {
			return
		}
		p.Publish(ctx, &pubsub.Message{Data: fmt.Appendf(nil, `{"at":%q}`, time.Now().UTC().Format(time.RFC3339))})
	}
}
