package dispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"carillon.example/shared/personal"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

const (
	handOver = 10 * time.Second // so long before its end a call hands its shard over
	recheck  = time.Second      // maximum age of the state of the mailing
	unknown  = 1 << 30          // targets, before they were counted for the first time
)

// A shardRun is one call's work on one shard.
type shardRun struct {
	*dispatcher
	m          *push.Mailing
	seen       time.Time // when m was read
	sh         *push.Shard
	audience   store.Audience
	attributes []string // names that the templates of the message use
	targeting  *push.Targeting
	until      time.Time // when to hand over
	lane       push.Lane // of the batches
	whole      bool      // the mailing is one page
	sinceCount int       // targets in batches since open ones were last counted
	customers  int       // customers read in this call
	tokens     int       // their tokens that are in batches
	bytes      int       // bytes of these targets
	wake       bool      // some batches fall due before tick's next round
}

func (d *dispatcher) workOnShard(ctx context.Context, o push.DispatchMessage) error {
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
	c := &shardRun{dispatcher: d, m: m, seen: now, sh: sh, sinceCount: unknown,
		until: now.Add(d.CallTimeout - min(handOver, d.CallTimeout/3))}
	if sh.Done {
		return c.finishShard(ctx)
	}
	if sh.LeaseUntil.After(now) || sh.ContinueAt.Sub(now) > time.Second {
		return nil // another call has the lease, or it must wait; tick publishes it again
	}
	set, err := d.Store.Settings(ctx)
	if err != nil {
		return err
	}
	c.targeting = push.TargetingOf(m, set)

	c.attributes = attributesOf(m)
	if c.audience, err = d.Store.Audience(ctx, m, c.attributes...); err != nil {
		return err
	}
	if err := d.Store.LeaseShard(ctx, sh, now.Add(d.CallTimeout+handOver)); err != nil {
		return err
	}
	return c.createPages(ctx)
}

// attributesOf returns the attributes that the templates of a mailing use, of every
// variant. If a message does not compile any more, deliver refuses it.
func attributesOf(m *push.Mailing) []string {
	names := map[string]bool{}
	for _, p := range m.ListPayloads() {
		if t, faults := personal.Compile(p.Message, p.Link); len(faults) == 0 {
			for _, name := range t.Names() {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// createPage creates the batches of one page of the audience in one commit, then
// publishes those that are due. tick publishes the others, each at its time.
func (c *shardRun) createPages(ctx context.Context) error {
	err := c.pages(ctx)
	if c.wake {
		c.wakeTick(ctx)
	}
	return err
}

func (c *shardRun) pages(ctx context.Context) error {
	for !c.sh.Done {
		if going, err := c.isSending(ctx); err != nil || !going {
			return errors.Join(err, c.releaseShard(ctx))
		}
		if !c.Now().Before(c.until) {
			return c.handOver(ctx)
		}
		later, err := c.whenToContinue(ctx)
		if err == nil && !later.IsZero() {
			return c.Store.ReleaseShard(ctx, c.sh, later, time.Time{})
		}
		if err == nil {
			err = c.createPage(ctx)
		}
		if err != nil {
			return errors.Join(err, c.releaseShard(ctx))
		}
	}

	return c.finishShard(ctx)
}

// wakeTick asks tick to publish what falls due before its next round. If that fails,
// the next round does it, up to a minute late.
func (c *shardRun) wakeTick(ctx context.Context) {
	if err := c.Queue.PublishWake(ctx, c.m.ID); err != nil {
		c.Log.WarnContext(ctx, "tick was not asked to publish batches; its next round does", "mailing", c.m.ID, "error", err)
	}
}

// releaseShard releases the lease of a shard whose mailing is paused or has ended, or
// whose call failed. It works even if the call's context is done. If another call has
// the lease by now, it stays.
func (c *shardRun) releaseShard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	if err := c.Store.ReleaseShard(ctx, c.sh, time.Time{}, time.Time{}); err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	return nil
}

// handOver releases the shard and publishes a message for another call to go on with
// it.
func (c *shardRun) handOver(ctx context.Context) error {
	if err := c.Store.ReleaseShard(ctx, c.sh, time.Time{}, c.Now()); err != nil {
		return err
	}
	return c.Queue.PublishDispatch(ctx, push.DispatchMessage{Mailing: c.m.ID, Shard: c.sh.Number})
}

// finishShard records after the last shard that the mailing has all its batches. If
// every batch is settled by then, it ends the mailing.
func (c *shardRun) finishShard(ctx context.Context) error {
	dispatched, err := c.Store.MarkDispatched(ctx, c.m.ID)
	if err != nil || !dispatched {
		return err
	}
	_, err = queue.FinishMailing(ctx, c.Store, c.Queue, c.m.ID)
	return err
}

// isSending reports whether the mailing is still sending.
func (c *shardRun) isSending(ctx context.Context) (bool, error) {
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

// createPage cuts one page of the audience: one commit, then those of its batches that
// are due are published. The others tick publishes, each at its time.
func (c *shardRun) createPage(ctx context.Context) error {
	batches, err := c.readBatches(ctx)
	if err != nil {
		return err
	}
	if err := c.Store.CreateBatches(ctx, c.sh, batches); err != nil {
		return err
	}

	refs := make([]push.BatchRef, 0, len(batches))
	for _, b := range batches {
		switch {
		case !b.PublishedAt.IsZero():
			refs = append(refs, b.BatchRef)
		case max(b.NotBefore.Sub(b.CutAt), b.WaitUntil.Sub(b.CutAt)) < nextRound:
			c.wake = true
		}
	}
	if len(refs) == 0 {
		return nil
	}
	return c.Queue.PublishBatches(ctx, c.lane, refs...)
}
