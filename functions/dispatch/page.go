package dispatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// Limits of one page.
const (
	pageBytes  = 6 << 20          // bytes of targets in a commit; a request to Firestore may have 10 MiB
	batchBytes = 900 << 10        // bytes of targets in a batch; a document may have 1 MiB
	pageSlots  = 5 * time.Second  // of a rate in the first page, when the number of tokens a customer is unknown
	fullSlots  = 30 * time.Second // of a rate in later pages

	// Attributes may be large. A page that reads them begins with firstPageSize customers
	// and grows while its targets stay below pageMemory bytes, so that ten calls at
	// the same time fit into an instance of 512 MiB.
	firstPageSize = 50
	pageMemory    = 1 << 20
)

// readPage reads the next page and moves the cursor of the shard in memory. A page
// whose targets are too large for a commit is read again with half the customers.
func (c *shardRun) readPage(ctx context.Context) (targets []push.Target, bytes int, err error) {
	first := c.shard.After == c.shard.From && c.mailing.Shards == 1
	for size := c.pageSize(); ; size /= 2 {
		p, err := c.audience.ReadPage(ctx, c.shard.After, c.shard.Upto, size)
		if err != nil {
			return nil, 0, err
		}
		c.onePage = first && p.Last == ""
		c.lane = c.chooseLane()
		targets, counted, bytes := c.pickTargets(p)
		if bytes > pageBytes && size > 1 {
			continue
		}
		c.shard.Targeted += counted.Targeted
		for i, n := range counted.ByVariant {
			c.shard.ByVariant[i] += n
		}
		c.shard.Excluded = c.shard.Excluded.Plus(counted.Excluded)
		c.shard.After, c.shard.Done = p.Last, p.Last == ""
		c.reads.Add(p.Reads)
		c.customers, c.tokens, c.bytes = c.customers+len(p.Members), c.tokens+len(targets), c.bytes+bytes
		return targets, bytes, nil
	}
}

// readBatches reads the next page and makes its batches. Of a mailing with hours it reads
// several pages: their targets are divided by time zone, and batches of one page would be
// small.
func (c *shardRun) readBatches(ctx context.Context) ([]*push.Batch, error) {
	targets, bytes, err := c.readPage(ctx)
	if err != nil {
		return nil, err
	}
	if c.mailing.Hours == nil {
		c.countReady(len(targets))
		return c.splitIntoBatches(targets), nil
	}

	zones := newZoneGroups(c.mailing, c.Now())
	zones.addTargets(targets)
	for pages := 1; !c.shard.Done && pages < pagesByZone && bytes*(pages+1)/pages <= c.zoneBytes(); pages++ {
		more, size, err := c.readPage(ctx)
		if err != nil {
			return nil, err
		}
		zones.addTargets(more)
		bytes += size
	}

	return c.splitByZone(zones), nil
}

// countReady counts targets that are in batches which may be sent now.
func (c *shardRun) countReady(targets int) {
	c.sinceCounted += targets
	c.ahead.addTargets(targets)
}

// pageSize returns how many customers to read.
func (c *shardRun) pageSize() int {
	size := c.audience.PageSize()
	if c.mailing.RateLimit() > 0 {
		size = min(size, c.slotsSize())
	}
	if len(c.attributes) > 0 {
		size = min(size, c.memorySize())
	}
	return max(1, size)
}

// slotsSize returns how many customers have about as many tokens as the shard has
// slots to fill, judging by the pages before.
func (c *shardRun) slotsSize() int {
	span := fullSlots
	if c.customers == 0 {
		span = pageSlots
	}
	slots := int(float64(c.mailing.RateLimit()) / float64(max(1, c.mailing.Shards)) * span.Minutes())
	if c.tokens > c.customers {
		slots = slots * c.customers / c.tokens
	}
	return slots
}

// memorySize returns how many customers have about pageMemory bytes of targets,
// judging by the pages before; at most twice as many as were read so far.
func (c *shardRun) memorySize() int {
	if c.customers == 0 {
		return firstPageSize
	}
	size := 2 * c.customers
	if c.bytes > 0 {
		size = min(size, pageMemory*c.customers/c.bytes)
	}
	return size
}

// pickTargets lists the targets of a page, and counts the customers that are left
// out, by reason.
func (c *shardRun) pickTargets(p store.AudiencePage) (out []push.Target, n push.AudienceCounts, bytes int) {
	now := c.Now()
	n.Excluded = p.Excluded
	for _, m := range p.Members {
		ts, why := c.pickTokens(m)
		if why != push.NotExcluded {
			n.Excluded.Add(why, 1)
			continue
		}
		n.Targeted++
		variant := 0
		if len(c.mailing.Variants) > 0 {
			variant = c.targeting.VariantOf(m.Customer.ID)
			n.ByVariant[variant]++
		}
		for _, target := range m.Customer.MakeTargets(ts, c.attributes, now) {
			target.Variant = variant
			target.Zone = m.Customer.TimeZone
			bytes += target.StoredSize()
			out = append(out, target)
		}
	}

	return out, n, bytes
}

// pickTokens returns the tokens of one customer that the mailing is sent to. A token that
// came to this customer after the mailing started does not count: a batch may have it
// already, under the customer who had it before, and the mailing is sent to each token
// once. This cannot happen in a mailing of one page, or with listed tokens, whose owners
// are stored.
func (c *shardRun) pickTokens(m store.AudienceMember) ([]push.Token, push.Exclusion) {
	of := m.Customer
	if of != nil && m.Only == nil && !c.onePage {
		old := *of
		old.Tokens = slices.DeleteFunc(slices.Clone(of.Tokens), func(t push.Token) bool { return t.AddedAt.After(c.mailing.StartedAt) })
		of = &old
	}
	return c.targeting.SelectTokens(of, m.Only)
}

// splitIntoBatches splits targets into batches by number and by bytes, and gives each
// batch its slot.
func (c *shardRun) splitIntoBatches(targets []push.Target) []*push.Batch {
	var out []*push.Batch
	most := c.batchSize()
	for len(targets) > 0 {
		n, bytes := 0, 0
		for n < len(targets) && n < most {
			if bytes += targets[n].StoredSize(); bytes > batchBytes && n > 0 {
				break
			}
			n++
		}
		out = append(out, c.newBatch(targets[:n]))
		targets = targets[n:]
	}

	return out
}

// batchSize limits a batch of a mailing with a rate to three seconds of it, so that
// slots are even.
func (c *shardRun) batchSize() int {
	if r := c.mailing.RateLimit(); r > 0 {
		return min(push.MaxBatch, max(1, r/max(1, c.mailing.Shards)/20))
	}
	return push.MaxBatch
}

// newBatch makes the next batch of the shard. Its number is part of its name, so that a
// second try creates no second batch.
func (c *shardRun) newBatch(targets []push.Target) *push.Batch {
	b := &push.Batch{
		BatchRef: push.BatchRef{Mailing: c.mailing.ID, Batch: fmt.Sprintf("%02d-%06d", c.shard.Number, c.shard.Batches)},
		Shard:    c.shard.Number, CreatedAt: c.Now(), Lane: c.lane, Variants: len(c.mailing.Variants), Targets: targets, Results: make([]push.Result, len(targets)),
	}
	c.shard.Batches++
	if r := c.mailing.RateLimit(); r > 0 && c.mailing.Hours == nil {
		c.assignSlot(b, r)
	}
	if !b.NotBefore.After(b.CreatedAt) {
		b.PublishedAt = b.CreatedAt // it is published as soon as it is stored
	}
	return b
}

// assignSlot gives a batch of a mailing with a rate its time, and moves the next slot
// of the shard after it. Each shard has an equal part of the rate. The first slots
// of the shards are spread over the time of a batch, so that they alternate.
func (c *shardRun) assignSlot(b *push.Batch, rate int) {
	shards := time.Duration(max(1, c.mailing.Shards))
	length := func(targets int) time.Duration {
		return time.Duration(targets) * shards * time.Minute / time.Duration(rate)
	}
	if c.shard.NextSlot.IsZero() {
		c.shard.NextSlot = b.CreatedAt.Add(length(c.batchSize()) * time.Duration(c.shard.Number) / shards)
	}

	b.NotBefore = c.shard.NextSlot
	if b.NotBefore.Before(b.CreatedAt) {
		b.NotBefore = b.CreatedAt
	}
	c.shard.NextSlot = b.NotBefore.Add(length(len(b.Targets)))
}
