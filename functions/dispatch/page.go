package dispatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// How much is cut at once.
const (
	pageSize   = 1000             // customers a page
	pageBytes  = 6 << 20          // of targets a commit; Firestore takes 10 MiB a request
	batchBytes = 900 << 10        // of targets a batch; Firestore takes 1 MiB a document
	pageSlots  = 5 * time.Second  // of a rate that are cut at once before anything is known of its customers
	fullSlots  = 30 * time.Second // afterwards

	// Attributes may be large. A page that reads them begins with firstSize
	// customers and grows while its targets stay below pageMemory bytes, so that
	// ten calls side by side fit into an instance of 512 MiB.
	firstSize  = 50
	pageMemory = 1 << 20
)

// readPage reads the next page and moves the shard over it, in memory. A page
// whose targets outgrow a commit is read again with half the customers.
func (c *cutting) readPage(ctx context.Context) ([]*push.Batch, error) {
	first := c.sh.After == c.sh.From && c.m.Shards == 1
	for size := c.pageSize(); ; size /= 2 {
		p, err := c.audience.Page(ctx, c.sh.After, c.sh.Upto, size)
		if err != nil {
			return nil, err
		}
		c.whole = first && p.Last == ""
		c.lane = c.laneOf()
		targets, counted, bytes := c.targets(p)
		if bytes > pageBytes && size > 1 {
			continue
		}
		batches := c.batches(targets)
		c.sh.Targeted += counted.Targeted
		c.sh.Excluded = sum(c.sh.Excluded, counted.Excluded)
		c.sh.After, c.sh.Done = p.Last, p.Last == ""
		c.sinceCount += len(targets)
		c.customers, c.tokens, c.bytes = c.customers+len(p.Members), c.tokens+len(targets), c.bytes+bytes
		c.ahead.add(len(targets))
		return batches, nil
	}
}

// pageSize is how many customers to read.
func (c *cutting) pageSize() int {
	size := pageSize
	if c.m.Rate() > 0 {
		size = min(size, c.slotsSize())
	}
	if len(c.attributes) > 0 {
		size = min(size, c.memorySize())
	}
	return max(1, size)
}

// slotsSize is how many customers have about as many tokens, going by the pages
// before, as there are slots of the shard's part of the rate to cut.
func (c *cutting) slotsSize() int {
	span := fullSlots
	if c.customers == 0 {
		span = pageSlots
	}
	slots := int(float64(c.m.Rate()) / float64(max(1, c.m.Shards)) * span.Minutes())
	if c.tokens > c.customers {
		slots = slots * c.customers / c.tokens
	}
	return slots
}

// memorySize is how many customers have about pageMemory bytes of targets, going
// by the pages before; at most twice as many as were read so far.
func (c *cutting) memorySize() int {
	if c.customers == 0 {
		return firstSize
	}
	size := 2 * c.customers
	if c.bytes > 0 {
		size = min(size, pageMemory*c.customers/c.bytes)
	}
	return size
}

func sum(a, b push.Excluded) push.Excluded {
	return push.Excluded{
		NoValidToken: a.NoValidToken + b.NoValidToken, OptedOut: a.OptedOut + b.OptedOut,
		Category: a.Category + b.Category, Unknown: a.Unknown + b.Unknown, Muted: a.Muted + b.Muted,
	}
}

// targets lists whom a page rings, and counts whom it leaves out and why.
func (c *cutting) targets(p store.Page) (out []push.Target, n push.AudienceCounts, bytes int) {
	now := c.Now()
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
			target := push.Target{Customer: m.Customer.ID, Token: t.Value, Kind: t.Kind, Platform: t.Platform, App: t.App,
				Young: t.Young(now), Attributes: attributes}
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
	if why := m.Customer.ExcludeMuted(c.m.Category, c.muted); why != push.NotExcluded {
		return nil, why
	}
	if m.Only == nil {
		return c.selected(m.Customer)
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

// selected picks the tokens of a customer that the device selection names. A
// token that came to this customer after the mailing started does not count: the
// mailing may have it already, under the customer who had it before, and it goes
// to each token once. A mailing of one page has nobody before.
func (c *cutting) selected(of *push.Customer) ([]push.Token, push.Exclusion) {
	if !c.whole {
		old := *of
		old.Tokens = slices.DeleteFunc(slices.Clone(of.Tokens), func(t push.Token) bool { return t.AddedAt.After(c.m.StartedAt) })
		of = &old
	}
	out := of.Select(c.m.Selection)
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
		return min(push.MaxBatch, max(1, r/max(1, c.m.Shards)/20))
	}
	return push.MaxBatch
}

func (c *cutting) batch(targets []push.Target) *push.Batch {
	b := &push.Batch{
		BatchRef: push.BatchRef{Mailing: c.m.ID, Batch: fmt.Sprintf("%02d-%06d", c.sh.Number, c.sh.Batches)},
		Shard:    c.sh.Number, CutAt: c.Now(), Lane: c.lane, Targets: targets, Results: make([]push.Result, len(targets)),
	}
	c.sh.Batches++
	if r := c.m.Rate(); r > 0 {
		c.slot(b, r)
	}
	if !b.NotBefore.After(b.CutAt) {
		b.PublishedAt = b.CutAt // as soon as it is stored
	}
	return b
}

// slot gives a batch of a mailing with a rate its time, and moves the shard's
// next slot behind it. Each shard has an equal part of the rate; the first slots
// of the shards are spread over the time of a batch, so that they alternate.
func (c *cutting) slot(b *push.Batch, rate int) {
	shards := time.Duration(max(1, c.m.Shards))
	length := func(targets int) time.Duration {
		return time.Duration(targets) * shards * time.Minute / time.Duration(rate)
	}
	if c.sh.NextSlot.IsZero() {
		c.sh.NextSlot = b.CutAt.Add(length(c.batchSize()) * time.Duration(c.sh.Number) / shards)
	}

	b.NotBefore = c.sh.NextSlot
	if b.NotBefore.Before(b.CutAt) {
		b.NotBefore = b.CutAt
	}
	c.sh.NextSlot = b.NotBefore.Add(length(len(b.Targets)))
}
