package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carillon.example/shared/personal"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	pageSize   = 1000            // customers a page
	pageBytes  = 6 << 20         // of targets a commit; Firestore takes 10 MiB a request
	batchBytes = 900 << 10       // of targets a batch; Firestore takes 1 MiB a document
	ahead      = 2 * time.Minute // of sending that may be cut and not sent
	handOver   = 10 * time.Second
	recheck    = time.Second     // how old the state of the mailing may be
	slotAhead  = 2 * time.Second // how early a slot is cut
	pageSlots  = 5 * time.Second // of a rate that are cut at once
)

// A cutting is one call's work on one shard.
type cutting struct {
	*dispatcher
	m          *push.Mailing
	seen       time.Time // when m was read
	sh         *push.Shard
	audience   store.Audience
	attributes []string  // those the message's templates name
	until      time.Time // when to hand over
	sinceCut   int       // targets cut since open batches were last counted
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
	now := d.Now()
	c := &cutting{dispatcher: d, m: m, seen: now, sh: sh, until: now.Add(d.CallTimeout - min(handOver, d.CallTimeout/3))}
	if sh.Done {
		return c.done(ctx)
	}
	if sh.Busy.After(now) {
		return nil // another call has it; if that dies, tick asks again
	}
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
		if err != nil {
			return err
		}
		if wait > 0 {
			if err := c.Sleep(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if err := c.page(ctx); err != nil {
			return err
		}
	}
	return c.done(ctx)
}

// giveBack frees the shard of a mailing that is held or has ended.
func (c *cutting) giveBack(ctx context.Context) error {
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
// or while about two minutes of sending lie ready.
func (c *cutting) wait(ctx context.Context) (time.Duration, error) {
	if c.m.Rate() > 0 {
		early := c.sh.NextSlot.Add(-slotAhead).Sub(c.Now())
		return max(0, min(time.Second, early)), nil
	}
	most := c.QuotaPerMinute * int(ahead/time.Minute)
	if c.sinceCut < most/(4*max(1, c.m.Shards)) {
		return 0, nil
	}
	open, err := c.Store.CountOpen(ctx, c.m.ID)
	if err != nil {
		return 0, err
	}
	if open*push.MaxBatch >= most {
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

// readPage reads the next page and moves the shard over it, in memory. A page
// whose targets outgrow a commit is read again with half the customers.
func (c *cutting) readPage(ctx context.Context) ([]*push.Batch, error) {
	size := pageSize
	if r := c.m.Rate(); r > 0 {
		size = min(pageSize, max(1, r*int(pageSlots/time.Second)/60))
	}
	for ; ; size /= 2 {
		p, err := c.audience.Page(ctx, c.sh.After, c.sh.Upto, size)
		if err != nil {
			return nil, err
		}
		targets, counted, bytes := c.targets(p)
		if bytes > pageBytes && size > 1 {
			continue
		}
		batches := c.batches(targets)
		c.sh.Targeted += counted.Targeted
		c.sh.Excluded = sum(c.sh.Excluded, counted.Excluded)
		c.sh.After, c.sh.Done = p.Last, p.Last == ""
		c.sinceCut += len(targets)
		return batches, nil
	}
}

func sum(a, b push.Excluded) push.Excluded {
	return push.Excluded{
		NoValidToken: a.NoValidToken + b.NoValidToken, OptedOut: a.OptedOut + b.OptedOut,
		Category: a.Category + b.Category, Unknown: a.Unknown + b.Unknown,
	}
}

// targets lists whom a page rings, and counts whom it leaves out and why.
func (c *cutting) targets(p store.Page) (out []push.Target, n push.Audited, bytes int) {
	n.Excluded = p.Excluded
	for _, m := range p.Members {
		ts, why := c.member(m)
		if why != push.NotExcluded {
			n.Excluded.Add(why, 1)
			continue
		}
		n.Targeted++
		attributes := c.named(m.Customer)
		for _, t := range ts {
			target := push.Target{Customer: m.Customer.ID, Token: t.Value, Kind: t.Kind, Platform: t.Platform, Attributes: attributes}
			bytes += target.Size()
			out = append(out, target)
		}
	}
	return out, n, bytes
}

// named are the attributes of one customer that the message's templates name.
func (c *cutting) named(of *push.Customer) map[string]any {
	var out map[string]any
	for _, name := range c.attributes {
		if v, ok := of.Attributes[name]; ok {
			if out == nil {
				out = map[string]any{}
			}
			out[name] = v
		}
	}
	return out
}

// member picks the tokens of one customer. Where the audience names tokens,
// those it names go, whatever the device selection says.
func (c *cutting) member(m store.Member) ([]push.Token, push.Exclusion) {
	if m.Customer == nil {
		return nil, push.Unknown
	}
	if why := m.Customer.Exclude(c.m.Category); why != push.NotExcluded {
		return nil, why
	}
	if m.Only == nil {
		return m.Customer.Select(c.m.Selection), push.NotExcluded
	}
	var out []push.Token
	for _, id := range m.Only {
		if t, ok := m.Customer.Token(id); ok && t.Valid() {
			out = append(out, *t)
		}
	}
	if len(out) == 0 {
		return nil, push.NoValidToken
	}
	return out, push.NotExcluded
}

// batches cuts targets by number and by bytes and gives each batch its slot.
func (c *cutting) batches(targets []push.Target) []*push.Batch {
	var out []*push.Batch
	most := c.batchSize()
	for len(targets) > 0 {
		n, bytes := 0, 0
		for n < len(targets) && n < most {
			if bytes += targets[n].Size(); bytes > batchBytes && n > 0 {
				break
			}
			n++
		}
		out = append(out, c.batch(targets[:n]))
		targets = targets[n:]
	}
	return out
}

// batchSize keeps a batch of a mailing with a rate to three seconds of it, so
// that slots are even.
func (c *cutting) batchSize() int {
	if r := c.m.Rate(); r > 0 {
		return min(push.MaxBatch, max(1, r/20))
	}
	return push.MaxBatch
}

func (c *cutting) batch(targets []push.Target) *push.Batch {
	b := &push.Batch{
		Ref:   push.Ref{Mailing: c.m.ID, Batch: fmt.Sprintf("%02d-%06d", c.sh.Number, c.sh.Batches)},
		Shard: c.sh.Number, CutAt: c.Now(), Targets: targets, Receipts: make([]push.Receipt, len(targets)),
	}
	c.sh.Batches++
	if r := c.m.Rate(); r > 0 {
		b.NotBefore = c.sh.NextSlot
		if b.NotBefore.Before(b.CutAt) {
			b.NotBefore = b.CutAt
		}
		c.sh.NextSlot = b.NotBefore.Add(time.Duration(len(targets)) * time.Minute / time.Duration(r))
	}
	return b
}

// publish hands batches to deliver, each when its slot has come. What it does
// not come to, tick publishes.
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
		if err := c.Sleep(ctx, wait); err != nil {
			return err
		}
		refs = append(refs, b.Ref)
	}
	return c.Queue.Deliver(ctx, refs...)
}
