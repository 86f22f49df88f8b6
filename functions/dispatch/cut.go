package dispatch

import (
	"context"
	"errors"
	"time"

	"carillon.example/shared/personal"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

const (
	handOver = 10 * time.Second // before its end a call passes its shard on
	recheck  = time.Second      // how old the state of the mailing may be
	unknown  = 1 << 30          // targets, before what is open was first counted
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
	lane       push.Lane // of the batches
	whole      bool      // the mailing is one page
	sinceCount int       // targets cut since what is open was last counted
	customers  int       // read in this call
	tokens     int       // of theirs that were cut
	bytes      int       // of these tokens' targets
	wake       bool      // batches are cut that fall due before tick's next round
}

func (d *dispatcher) cutShard(ctx context.Context, o push.DispatchMessage) error {
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
	now := d.Now()
	c := &cutting{dispatcher: d, m: m, seen: now, sh: sh, sinceCount: unknown,
		until: now.Add(d.CallTimeout - min(handOver, d.CallTimeout/3))}
	if sh.Done {
		return c.done(ctx)
	}
	if sh.LeaseUntil.After(now) || sh.ContinueAt.Sub(now) > time.Second {
		return nil // another call has it, or its time has not come; tick asks again
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
	if err := d.Store.LeaseShard(ctx, sh, now.Add(d.CallTimeout+handOver)); err != nil {
		return err
	}
	return c.run(ctx)
}

// run cuts page after page until the shard is done, the mailing stops, there is
// enough for now, or the call's time is nearly up.
func (c *cutting) run(ctx context.Context) error {
	err := c.pages(ctx)
	if c.wake {
		c.wakeTick(ctx)
	}
	return err
}

func (c *cutting) pages(ctx context.Context) error {
	for !c.sh.Done {
		if going, err := c.going(ctx); err != nil || !going {
			return errors.Join(err, c.giveBack(ctx))
		}
		if !c.Now().Before(c.until) {
			return c.handOver(ctx)
		}
		later, err := c.later(ctx)
		if err == nil && !later.IsZero() {
			return c.Store.ReleaseShard(ctx, c.sh, later, time.Time{})
		}
		if err == nil {
			err = c.page(ctx)
		}
		if err != nil {
			return errors.Join(err, c.giveBack(ctx))
		}
	}

	return c.done(ctx)
}

// wakeTick asks tick to publish what falls due before its next round. Where that
// fails, the next round does it, up to a minute late.
func (c *cutting) wakeTick(ctx context.Context) {
	if err := c.Queue.PublishWake(ctx, c.m.ID); err != nil {
		c.Log.WarnContext(ctx, "tick was not asked to publish batches; its next round does", "mailing", c.m.ID, "error", err)
	}
}

// giveBack frees the shard of a mailing that is held or has ended, and of a call
// that failed, whose end must not keep it from that. A shard that is somebody
// else's by now stays so.
func (c *cutting) giveBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	if err := c.Store.ReleaseShard(ctx, c.sh, time.Time{}, time.Time{}); err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	return nil
}

// handOver gives the shard back and asks for another call to go on with it.
func (c *cutting) handOver(ctx context.Context) error {
	if err := c.Store.ReleaseShard(ctx, c.sh, time.Time{}, c.Now()); err != nil {
		return err
	}
	return c.Queue.PublishDispatch(ctx, push.DispatchMessage{Mailing: c.m.ID, Shard: c.sh.Number})
}

// done ends the mailing's cutting after its last shard, and the mailing, should
// every batch be settled by then.
func (c *cutting) done(ctx context.Context) error {
	dispatched, err := c.Store.MarkDispatched(ctx, c.m.ID)
	if err != nil || !dispatched {
		return err
	}
	_, err = queue.FinishMailing(ctx, c.Store, c.Queue, c.m.ID)
	return err
}

// going reports whether the mailing is still to be sent.
func (c *cutting) going(ctx context.Context) (bool, error) {
	if c.Now().Sub(c.seen) < recheck {
		return true, nil
	}
	m, err := c.Store.MailingHeader(ctx, c.m.ID)
	if err != nil {
		return false, err
	}
	c.seen = c.Now()
	return m.State == push.Sending && m.ExpiresAt.After(c.seen), nil
}

// page cuts one page of the audience: one commit, then those of its batches that
// are due are published. The others tick publishes, each at its time.
func (c *cutting) page(ctx context.Context) error {
	batches, err := c.readPage(ctx)
	if err != nil {
		return err
	}
	if err := c.Store.CreateBatches(ctx, c.sh, batches); err != nil {
		return err
	}

	refs := make([]push.BatchRef, 0, len(batches))
	for _, b := range batches {
		if !b.PublishedAt.IsZero() {
			refs = append(refs, b.BatchRef)
		} else if b.NotBefore.Sub(b.CutAt) < nextRound {
			c.wake = true
		}
	}
	if len(refs) == 0 {
		return nil
	}
	return c.Queue.PublishBatches(ctx, c.lane, refs...)
}
