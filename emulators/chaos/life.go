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

// post hands mailings in while it storms, and lets each live its life.
func (c *chaos) post(ctx, storming context.Context, lives *sync.WaitGroup) {
	r := rand.New(rand.NewPCG(c.Seed, 3))
	run := strconv.FormatInt(c.began.UnixNano(), 36)
	slots, kinds := make(chan struct{}, atOnce), c.Weather.kinds()
	for n := 0; storming.Err() == nil; n++ {
		select {
		case slots <- struct{}{}:
		case <-storming.Done():
			return
		}
		p, twice := newPost(n, kinds, c.people, r), r.Float64() < 0.3
		own := rand.New(rand.NewPCG(c.Seed, uint64(1000+n)))
		lives.Go(func() {
			if err := c.live(ctx, p, run, twice, own, func() { <-slots }); err != nil {
				c.exam.say(brokenLost, "%v", err)
			}
		})
		wait(storming, time.Duration(1000+r.IntN(5000))*time.Millisecond)
	}
}

// live takes a mailing through its life and examines it once it is at rest.
func (c *chaos) live(ctx context.Context, p *post, run string, twice bool, r *rand.Rand, done func()) error {
	free := sync.OnceFunc(done)
	defer free()
	if err := p.submit(ctx, c.client.BaseURL, run, twice); err != nil {
		return err
	}
	if c.Weather.doubtsFCM() {
		p.doubtful = c.weather.doubtful
	}
	if p.poison != "" {
		c.poison.set(p.id, p.poison)
	}
	if err := p.live(ctx, c.client, r, c.exam.say); err != nil {
		return err
	}

	free()
	for {
		told, err := c.archive.told(ctx, p.id)
		if err == nil && told {
			break
		}
		if !wait(ctx, time.Second) {
			return fmt.Errorf("mailing %s has ended, and tick still looks after it: %w", p.id, errors.Join(err, ctx.Err()))
		}
	}

	wait(ctx, quiet)
	stored, err := c.archive.batches(ctx, p.id)
	for ; err != nil && wait(ctx, time.Second); stored, err = c.archive.batches(ctx, p.id) {
	}
	if err != nil {
		return err
	}

	c.exam.mailing(p, c.ledger.take(p.id), stored)
	c.exam.calls.Forget(p.id)
	fmt.Fprintf(c.out, "%5.0fs  %-9s %s %-9s %6d tokens, %d accepted, %d dead\n", time.Since(c.began).Seconds(), p.kind, p.id, p.end.State,
		p.end.Tokens.Targeted, p.end.Tokens.Accepted, p.end.Tokens.Invalid["UNREGISTERED"])
	return nil
}

// clock is Cloud Scheduler, late and early while it storms.
func (c *chaos) clock(ctx, storming context.Context) {
	client, err := pubsub.NewClient(ctx, c.laptop.Project)
	if err != nil {
		c.exam.say(brokenOther, "the clock does not reach Pub/Sub: %v", err)
		return
	}

	defer client.Close()
	p := client.Publisher("tick")
	defer p.Stop()
	r := rand.New(rand.NewPCG(c.Seed, 4))
	for {
		next := time.Second
		if storming.Err() == nil {
			next = time.Duration(r.IntN(3000)) * time.Millisecond
			if r.Float64() < 0.05 {
				next = 15 * time.Second
			}
		}
		if !wait(ctx, next) {
			return
		}
		p.Publish(ctx, &pubsub.Message{Data: fmt.Appendf(nil, `{"at":%q}`, time.Now().UTC().Format(time.RFC3339))})
	}
}
