package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// segmentAudience reads the customers of one query and filters them after reading.
type segmentAudience struct {
	s      *Store
	sel    *push.Segments
	base   segmentBase
	fields []firestore.FieldPath
}

// openSegments opens an audience by segments. It reads the part of the selection that has the
// fewest customers: any of some segments, or one of those that all have to match. Each
// choice gives the same customers in the same order, so the next call may make another choice.
func (s *Store) openSegments(ctx context.Context, sel *push.Segments, fields []firestore.FieldPath) (*segmentAudience, error) {
	var bases []segmentBase
	if len(sel.Any) > 0 {
		bases = append(bases, segmentBase{fmt.Sprintf("any %q", sel.Any), s.customerCollection().Where("segments", "array-contains-any", sel.Any)})
	}
	for _, name := range sel.All {
		bases = append(bases, segmentBase{fmt.Sprintf("one %q", name), s.customerCollection().Where("segments", "array-contains", name)})
	}
	q, err := s.smallestBase(ctx, bases)
	if err != nil {
		return nil, classifyError(err, "comparing the sizes of segments")
	}
	return &segmentAudience{s, sel, q, fields}, nil
}

// PageSize returns DocumentPage.
func (*segmentAudience) PageSize() int { return DocumentPage }

// sampleSize is how many customers of a base are read to estimate how many of all of
// them the other conditions select.
const sampleSize = 300

// EstimateSize counts the customers of the base, and estimates how many of them the
// other conditions select.
func (g *segmentAudience) EstimateSize(ctx context.Context) (int, error) {
	n, err := g.s.countOrEstimate(ctx, g.base.query)
	if err == nil && n > 0 && !g.sel.OneCondition() {
		n, err = g.scaleCount(ctx, n)
	}
	return n, classifyError(err, "counting the customers of segments")
}

// scaleCount returns how many of the customers of the base all conditions select: by the
// first ones in the order of the keys, which are hashes.
func (g *segmentAudience) scaleCount(ctx context.Context, all int) (int, error) {
	snaps, err := keyRange(g.base.query, "", "").Select("segments").Limit(sampleSize).Documents(ctx).GetAll()
	if err != nil {
		return 0, err
	}

	selected := 0
	for _, snap := range snaps {
		if g.selectsCustomer(snap) {
			selected++
		}
	}

	if len(snaps) < sampleSize {
		return selected, nil
	}
	return all * selected / len(snaps), nil
}

// selectsCustomer reports whether all conditions select a customer, whose segments were read.
func (g *segmentAudience) selectsCustomer(snap *firestore.DocumentSnapshot) bool {
	return g.sel.MatchCustomer(segmentsOf(snap))
}

// segmentsOf returns the segments of a stored customer, also if the customer cannot be decoded:
// then dispatch counts the customer as unknown in the mailings to these segments.
func segmentsOf(snap *firestore.DocumentSnapshot) []string {
	var out []string
	stored, _ := snap.Data()["segments"].([]any)
	for _, v := range stored {
		if name, ok := v.(string); ok {
			out = append(out, name)
		}
	}
	return out
}

// selectMembers returns the members that segments select; nil selects all.
func selectMembers(members []AudienceMember, sel *push.Segments) []AudienceMember {
	if sel == nil {
		return members
	}
	return slices.DeleteFunc(members, func(m AudienceMember) bool {
		if m.Customer == nil {
			return !sel.MatchCustomer(m.segments)
		}
		return !sel.MatchCustomer(m.Customer.Segments)
	})
}

// ReadPage reads the customers of the base in a range, and returns those that all
// conditions select. It may return no member although there is a next page.
func (g *segmentAudience) ReadPage(ctx context.Context, after, upto string, size int) (AudiencePage, error) {
	q := keyRange(g.base.query, after, upto).SelectPaths(g.fields...).Limit(size)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return AudiencePage{}, classifyError(err, "reading the customers of segments after %q", after)
	}
	var p AudiencePage
	if len(snaps) == size {
		p.Last = snaps[size-1].Ref.ID
	}
	p.Members = selectMembers(decodeMembers(ctx, snaps), g.sel)
	return p, nil
}

// A segmentBase is a query that finds every customer of a selection, and maybe others.
type segmentBase struct {
	name  string // the same for the same query
	query firestore.Query
}

const (
	// sizeAge is how old a compared size may be; sizesKept is how many sizes are kept.
	sizeAge   = 10 * time.Minute
	sizesKept = 1000
)

// sizeCache has the last counted number of customers of each base. It is safe for concurrent
// use. To count a base costs one read for each 32,000 of its customers, and at most 20 more.
type sizeCache struct {
	mu sync.Mutex // guards m; not held while a base is counted
	m  map[string]cachedSize
}

// cachedSize is a number of customers and when it was counted.
type cachedSize struct {
	n  int
	at time.Time
}

// smallestBase returns the base that has the fewest customers, approximately. A single
// base is not counted.
func (s *Store) smallestBase(ctx context.Context, bases []segmentBase) (segmentBase, error) {
	if len(bases) == 1 {
		return bases[0], nil
	}

	counts := make([]int, len(bases))
	g, ctx := errgroup.WithContext(ctx)
	for i, b := range bases {
		g.Go(func() (err error) {
			counts[i], err = s.sizeOfBase(ctx, b)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return segmentBase{}, err
	}

	least := 0
	for i, n := range counts {
		if n < counts[least] {
			least = i
		}
	}

	return bases[least], nil
}

// sizeOfBase returns about how many customers a base has, from the cache if it was
// counted less than sizeAge ago. Two calls at the same time may both count.
func (s *Store) sizeOfBase(ctx context.Context, b segmentBase) (int, error) {
	if n, ok := s.sizeCache.readSize(b.name, s.now()); ok {
		return n, nil
	}
	n, err := s.countOrEstimate(ctx, b.query)
	if err == nil {
		s.sizeCache.saveSize(b.name, cachedSize{n, s.now()})
	}
	return n, err
}

// readSize returns a cached size that is not too old.
func (c *sizeCache) readSize(name string, now time.Time) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, ok := c.m[name]
	return have.n, ok && now.Sub(have.at) < sizeAge
}

// saveSize caches a size. A full cache is cleared first.
func (c *sizeCache) saveSize(name string, x cachedSize) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= sizesKept {
		c.m = map[string]cachedSize{}
	}
	c.m[name] = x
}
