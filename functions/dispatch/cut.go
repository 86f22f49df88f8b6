package dispatch

import (
	"context"
	"errors"
	"math"
	"time"

	"carillon.example/shared/personal"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	ahead     = 2 * time.Minute // of sending that may be cut and not sent
	handOver  = 10 * time.Second
	recheck   = time.Second     // how old the state of the mailing may be
	slotAhead = 2 * time.Second // how early a slot is cut
	unknown   = math.MaxInt32   // targets, before open batches were first counted
)

// A cutting is one call's work on one shard.
type cutting struct {
	*dispatcher
	m          *push.Mailing
	seen       time.Time // when m was read
	sh         *push.Shard
	audience   store.Audience
	attributes []string // those the message's templates name
	muted      push.MutedCustomers
	until      time.Time // when to hand over
	last       time.Time // no slot after it is waited for
	sinceCut   int       // targets cut since open batches were last counted
	customers  int       // read in this call
	tokens     int       // of theirs that were cut
}

func (d *dispatcher) cutShard(ctx context.Context, o push.DispatchOrder) error {
	m, err := d.Store.Mailing(ctx, o.Mailing)
	if err != nil {
		return err
	}
	if m.State != push.Sending {
		return nil
	}
	sh, err := d.Store.Shard(ctx, o.Mailing, o.Shard)
	if err != nil {
		return err
	}
	now, margin := d.Now(), min(handOver, d.CallTimeout/3)
	c := &cutting{dispatcher: d, m: m, seen: now, sh: sh, sinceCut: unknown,
		until: now.Add(d.CallTimeout - margin), last: now.Add(d.CallTimeout - margin/2)}
	if sh.Done {
		return c.done(ctx)
	}
	if sh.Busy.After(now) {
		return nil // another call has it; if that dies, tick asks again
	}
	set, err := d.Store.Settings(ctx)
	if err != nil {
		return err
	}
	c.muted = set.Muted
	// A message that does not compile any more is deliver's to refuse.
	if t, faults := personal.Compile(m.Message, m.Link); len(faults) == 0 {
		c.attributes = t.Names()
	}
	if c.audience, err = d.Store.Audience(ctx, m, c.attributes...); err != nil {
		return err
	}
	if err := d.Store.Take(ctx, sh, now.Add(d.CallTimeout+handOver)); err != nil {
		return err
	}
	return c.run(ctx)
}

// run cuts page after page until the shard is done, the mailing stops, or the
// call's time is nearly up: then a fresh message goes on.
func (c *cutting) run(ctx context.Context) error {
	for !c.sh.Done {
		if going, err := c.going(ctx); err != nil || !going {
			return errors.Join(err, c.giveBack(ctx))
		}
		if !c.Now().Before(c.until) {
			return c.handOver(ctx)
		}
		wait, err := c.wait(ctx)
		switch {
		case err != nil:
		case wait > 0:
			err = c.Sleep(ctx, wait)
		default:
			err = c.page(ctx)
		}
		if err != nil {
			return errors.Join(err, c.giveBack(ctx))
		}
	}
	return c.done(ctx)
}

// giveBack frees the shard of a mailing that is held or has ended, and of a call
// that failed, whose end must not keep it from that. A shard that is somebody
// else's by now stays so.
func (c *cutting) giveBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	if err := c.Store.Take(ctx, c.sh, time.Time{}); err != nil && !errors.Is(err, store.ErrStale) {
		return err
	}
	return nil
}

// handOver gives the shard back and asks for another call to go on with it.
func (c *cutting) handOver(ctx context.Context) error {
	if err := c.Store.Take(ctx, c.sh, time.Time{}); err != nil {
		return err
	}
	return c.Queue.Dispatch(ctx, push.DispatchOrder{Mailing: c.m.ID, Shard: c.sh.Number})
}

// done ends the mailing's cutting after its last shard, and the mailing, should
// every batch be settled by then.
func (c *cutting) done(ctx context.Context) error {
	dispatched, err := c.Store.MarkDispatched(ctx, c.m.ID)
	if err != nil || !dispatched {
		return err
	}
	_, err = c.Store.Finish(ctx, c.m.ID, c.Queue.Events)
	return err
}

// going reports whether the mailing is still to be sent.
func (c *cutting) going(ctx context.Context) (bool, error) {
	if c.Now().Sub(c.seen) < recheck {
		return true, nil
	}
	m, err := c.Store.Peek(ctx, c.m.ID)
	if err != nil {
		return false, err
	}
	c.seen = c.Now()
	return m.State == push.Sending && m.ExpiresAt.After(c.seen), nil
}

// wait is how long to hold back: until the next slot of a mailing with a rate,
// and while about two minutes of sending lie ready, so that an outage leaves no
// more than that to be sent at once.
func (c *cutting) wait(ctx context.Context) (time.Duration, error) {
	perMinute := c.QuotaPerMinute
	if r := c.m.Rate(); r > 0 {
		if early := c.sh.NextSlot.Add(-slotAhead).Sub(c.Now()); early > 0 {
			return min(time.Second, early), nil
		}
		perMinute = min(perMinute, r)
	}
	most := perMinute * int(ahead/time.Minute)
	if c.sinceCut < most/(4*max(1, c.m.Shards)) {
		return 0, nil
	}
	open, err := c.Store.CountOpen(ctx, c.m.ID)
	if err != nil {
		return 0, err
	}
	if open*c.batchSize() >= most {
		return time.Second, nil
	}
	c.sinceCut = 0
	return 0, nil
}

// page cuts one page of the audience: one commit, then its batches are
// published.
func (c *cutting) page(ctx context.Context) error {
	batches, err := c.readPage(ctx)
	if err != nil {
		return err
	}
	if err := c.Store.Cut(ctx, c.sh, batches); err != nil {
		return err
	}
	return c.publish(ctx, batches)
}

// publish hands batches to deliver, each when its slot has come. Those whose
// slots are beyond the call's time, and what it does not come to, tick
// publishes.
func (c *cutting) publish(ctx context.Context, batches []*push.Batch) error {
	refs := make([]push.Ref, 0, len(batches))
	for _, b := range batches {
		wait := b.NotBefore.Sub(c.Now())
		if b.NotBefore.IsZero() || wait <= 0 {
			refs = append(refs, b.Ref)
			continue
		}
		if err := c.Queue.Deliver(ctx, refs...); err != nil {
			return err
		}
		refs = refs[:0]
		if b.NotBefore.After(c.last) {
			return nil
		}
		if err := c.Sleep(ctx, wait); err != nil {
			return err
		}
		refs = append(refs, b.Ref)
	}
	return c.Queue.Deliver(ctx, refs...)
}
