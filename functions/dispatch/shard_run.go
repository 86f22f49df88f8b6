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
	handOverTime = 10 * time.Second // how long before its end a call hands its shard over
	maxStateAge  = time.Second      // maximum age of the state of the mailing
	notCounted   = 1 << 30          // targets, before they were counted for the first time
)

// A shardRun is one call's work on one shard.
type shardRun struct {
	*dispatcher
	mailing       *push.Mailing
	mailingReadAt time.Time // when m was read
	shard         *push.Shard
	audience      store.Audience
	attributes    []string // names that the templates of the message use
	targeting     *push.Targeting
	handOverAt    time.Time // when to hand over
	lane          push.Lane // of the batches
	onePage       bool      // the mailing is one page
	sinceCounted  int       // targets in batches since open ones were last counted
	customers     int       // customers read in this call
	tokens        int       // their tokens that are in batches
	bytes         int       // bytes of these targets
	reads         store.AudienceReads
	wake          bool // some batches become due before tick's next round
}

// workOnShard leases a shard and works through it, unless another call has the lease or
// the shard has to wait.
func (d *dispatcher) workOnShard(ctx context.Context, o push.DispatchMessage) error {
	m, err := d.Store.ReadMailing(ctx, o.Mailing)
	if err != nil {
		return err
	}
	if m.State != push.Sending {
		return nil
	}
	sh, err := d.Store.ReadShard(ctx, o.Mailing, o.Shard)
	if err != nil {
		return err
	}
	now := d.Now()
	c := &shardRun{dispatcher: d, mailing: m, mailingReadAt: now, shard: sh, sinceCounted: notCounted,
		handOverAt: now.Add(d.CallTimeout - min(handOverTime, d.CallTimeout/3))}
	if sh.Done {
		return c.finishShard(ctx)
	}
	if sh.LeaseUntil.After(now) || sh.ContinueAt.Sub(now) > time.Second {
		return nil // another call has the lease, or it must wait; tick publishes it again
	}
	set, err := d.Store.ReadSettings(ctx)
	if err != nil {
		return err
	}
	c.targeting = push.TargetingOf(m, set)

	c.attributes = attributesOf(m)
	if c.audience, err = d.Store.OpenAudience(ctx, m, c.attributes...); err != nil {
		return err
	}
	// The lease is longer than the call. If another call was first, this is ErrConflict.
	if err := d.Store.LeaseShard(ctx, sh, now.Add(d.CallTimeout+handOverTime)); err != nil {
		return err
	}
	return c.createPagesAndWake(ctx)
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

// createPagesAndWake creates pages, and wakes tick if one of their batches is due before
// its next round.
func (c *shardRun) createPagesAndWake(ctx context.Context) error {
	err := c.createPages(ctx)
	if c.wake {
		c.wakeTick(ctx)
	}
	if c.reads != (store.AudienceReads{}) {
		c.Log.InfoContext(ctx, "rosters read", "mailing", c.mailing.ID, "shard", c.shard.Number, "customers", c.customers, "rosters", c.reads.Rosters,
			"changes", c.reads.Changes, "customers_read", c.reads.Customers, "rosters_written", c.reads.RostersWritten)
	}
	return err
}

// createPages creates page after page, until the shard is done, has to wait, or is
// handed over.
func (c *shardRun) createPages(ctx context.Context) error {
	for !c.shard.Done {
		if going, err := c.isSending(ctx); err != nil || !going {
			return errors.Join(err, c.releaseShard(ctx))
		}
		if !c.Now().Before(c.handOverAt) {
			return c.handOverShard(ctx)
		}
		later, err := c.whenToContinue(ctx)
		if err == nil && !later.IsZero() {
			return c.Store.ReleaseShard(ctx, c.shard, later, time.Time{})
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

// wakeTick asks tick to publish what becomes due before its next round. If that fails,
// the next round does it, up to a minute late.
func (c *shardRun) wakeTick(ctx context.Context) {
	if err := c.Queue.PublishWake(ctx, c.mailing.ID); err != nil {
		c.Log.WarnContext(ctx, "tick was not asked to publish batches; its next round does", "mailing", c.mailing.ID, "error", err)
	}
}

// releaseShard releases the lease of a shard whose mailing is paused or has ended, or
// whose call failed. It works even if the call's context is done. If another call has
// the lease by now, it stays.
func (c *shardRun) releaseShard(ctx context.Context) error {
	// Without the cancellation of ctx: an unreleased shard waits for the end of its lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverTime)
	defer cancel()
	if err := c.Store.ReleaseShard(ctx, c.shard, time.Time{}, time.Time{}); err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	return nil
}

// handOverShard releases the shard and publishes a message for another call to go on with
// it.
func (c *shardRun) handOverShard(ctx context.Context) error {
	if err := c.Store.ReleaseShard(ctx, c.shard, time.Time{}, c.Now()); err != nil {
		return err
	}
	return c.Queue.PublishDispatch(ctx, push.DispatchMessage{Mailing: c.mailing.ID, Shard: c.shard.Number})
}

// finishShard records after the last shard that the mailing has all its batches. If
// every batch is settled by then, it ends the mailing.
func (c *shardRun) finishShard(ctx context.Context) error {
	dispatched, err := c.Store.MarkMailingDispatched(ctx, c.mailing.ID)
	if err != nil || !dispatched {
		return err
	}
	_, err = queue.FinishMailing(ctx, c.Store, c.Queue, c.mailing.ID)
	return err
}

// isSending reports whether the mailing is still sending.
func (c *shardRun) isSending(ctx context.Context) (bool, error) {
	if c.Now().Sub(c.mailingReadAt) < maxStateAge {
		return true, nil
	}
	m, err := c.Store.ReadMailingHeader(ctx, c.mailing.ID)
	if err != nil {
		return false, err
	}
	c.mailingReadAt = c.Now()
	return m.State == push.Sending && m.ExpiresAt.After(c.mailingReadAt), nil
}

// createPage creates the batches of one page of the audience in one commit, and then
// publishes those that are due. If the call is killed in between, tick publishes them. tick
// also publishes the batches that are due later, each at its time.
func (c *shardRun) createPage(ctx context.Context) error {
	batches, err := c.readBatches(ctx)
	if err != nil {
		return err
	}
	if err := c.Store.CreateBatches(ctx, c.shard, batches); err != nil {
		return err
	}

	refs := make([]push.BatchRef, 0, len(batches))
	for _, b := range batches {
		switch {
		case !b.PublishedAt.IsZero():
			refs = append(refs, b.BatchRef)
		case max(b.NotBefore.Sub(b.CreatedAt), b.WaitUntil.Sub(b.CreatedAt)) < nextRound:
			c.wake = true
		}
	}

	if len(refs) == 0 {
		return nil
	}
	return c.Queue.PublishBatches(ctx, c.lane, refs...)
}
