package dispatch

import (
	"context"
	"fmt"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// How much is cut at once.
const (
	pageSize   = 1000            // customers a page
	pageBytes  = 6 << 20         // of targets a commit; Firestore takes 10 MiB a request
	batchBytes = 900 << 10       // of targets a batch; Firestore takes 1 MiB a document
	pageSlots  = 5 * time.Second // of a rate that are cut at once
)

// readPage reads the next page and moves the shard over it, in memory. A page
// whose targets outgrow a commit is read again with half the customers.
func (c *cutting) readPage(ctx context.Context) ([]*push.Batch, error) {
	for size := c.pageSize(); ; size /= 2 {
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
		c.customers, c.tokens = c.customers+len(p.Members), c.tokens+len(targets)
		return batches, nil
	}
}

// pageSize is how many customers to read. Those of a mailing with a rate have
// about as many tokens, going by the pages before, as there are slots to cut.
func (c *cutting) pageSize() int {
	r := c.m.Rate()
	if r == 0 {
		return pageSize
	}
	slots := r * int(pageSlots/time.Second) / 60
	if c.tokens > c.customers {
		slots = slots * c.customers / c.tokens
	}
	return min(pageSize, max(1, slots))
}

func sum(a, b push.Excluded) push.Excluded {
	return push.Excluded{
		NoValidToken: a.NoValidToken + b.NoValidToken, OptedOut: a.OptedOut + b.OptedOut,
		Category: a.Category + b.Category, Unknown: a.Unknown + b.Unknown, Muted: a.Muted + b.Muted,
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
	if why := m.Customer.ExcludeMuted(c.m.Category, c.muted); why != push.NotExcluded {
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
