package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// segments reads the customers of one query and filters them after reading.
type segments struct {
	s      *Store
	sel    *push.Segments
	base   firestore.Query
	fields []firestore.FieldPath
}

// bySegments opens an audience by segments. It reads the part of the selection that has the
// fewest customers: any of some segments, or one of those that all have to match. Each
// choice gives the same customers in the same order, so the next call may choose another.
func (s *Store) bySegments(ctx context.Context, sel *push.Segments, fields []firestore.FieldPath) (Audience, error) {
	var bases []base
	if len(sel.Any) > 0 {
		bases = append(bases, base{fmt.Sprintf("any %q", sel.Any), s.customers().Where("segments", "array-contains-any", sel.Any)})
	}
	for _, name := range sel.All {
		bases = append(bases, base{fmt.Sprintf("one %q", name), s.customers().Where("segments", "array-contains", name)})
	}
	q, err := s.smallestBase(ctx, bases)
	if err != nil {
		return nil, classify(err, "comparing the sizes of segments")
	}
	return segments{s, sel, q, fields}, nil
}

// sampleSize is how many customers of a base are read to estimate how many of all of
// them the other conditions select.
const sampleSize = 300

func (g segments) Count(ctx context.Context) (int, error) {
	n, err := g.s.count(ctx, g.base)
	if err == nil && n > 0 && !g.sel.OneCondition() {
		n, err = g.scale(ctx, n)
	}
	return n, classify(err, "counting the customers of segments")
}

// scale returns how many of the customers of the base all conditions select: by the
// first ones in the order of the keys, which are hashes.
func (g segments) scale(ctx context.Context, all int) (int, error) {
	snaps, err := keyRange(g.base, "", "").Select("segments").Limit(sampleSize).Documents(ctx).GetAll()
	if err != nil {
		return 0, err
	}
	selected := 0
	for _, snap := range snaps {
		if g.selects(snap) {
			selected++
		}
	}
	if len(snaps) < sampleSize {
		return selected, nil
	}
	return all * selected / len(snaps), nil
}

// selects reports whether all conditions select a customer of whom the segments were
// read. One who cannot be decoded is counted, as dispatch counts it as unknown.
func (g segments) selects(snap *firestore.DocumentSnapshot) bool {
	var d customerDoc
	return snap.DataTo(&d) != nil || g.sel.MatchCustomer(d.Segments)
}

func (g segments) Page(ctx context.Context, after, upto string, size int) (Page, error) {
	q := keyRange(g.base, after, upto).SelectPaths(g.fields...).Limit(size)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return Page{}, classify(err, "reading the customers of segments after %q", after)
	}
	var p Page
	if len(snaps) == size {
		p.Last = snaps[size-1].Ref.ID
	}
	p.Members = members(ctx, snaps, func(c *push.Customer) bool { return g.sel.MatchCustomer(c.Segments) })
	return p, nil
}

// A base is a query that finds every customer of a selection, and maybe others.
type base struct {
	name  string // the same for the same query
	query firestore.Query
}

const (
	// sizeAge is how old a compared size may be; sizesKept is how many sizes are kept.
	sizeAge   = 10 * time.Minute
	sizesKept = 1000
)

// sizes has the last counted number of customers of each base. It is safe for concurrent
// use. To count a base costs one read for each 32,000 of its customers.
type sizes struct {
	mu sync.Mutex
	m  map[string]size
}

type size struct {
	n  int
	at time.Time
}

// smallestBase returns the base that has the fewest customers, approximately. A single
// base is not counted.
func (s *Store) smallestBase(ctx context.Context, bases []base) (firestore.Query, error) {
	if len(bases) == 1 {
		return bases[0].query, nil
	}
	counts := make([]int, len(bases))
	g, ctx := errgroup.WithContext(ctx)
	for i, b := range bases {
		g.Go(func() (err error) {
			counts[i], err = s.sizeOf(ctx, b)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return firestore.Query{}, err
	}

	least := 0
	for i, n := range counts {
		if n < counts[least] {
			least = i
		}
	}

	return bases[least].query, nil
}

func (s *Store) sizeOf(ctx context.Context, b base) (int, error) {
	if n, ok := s.sizes.get(b.name, s.now()); ok {
		return n, nil
	}
	n, err := s.estimate(ctx, b.query)
	if err == nil {
		s.sizes.put(b.name, size{n, s.now()})
	}
	return n, err
}

func (c *sizes) get(name string, now time.Time) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, ok := c.m[name]
	return have.n, ok && now.Sub(have.at) < sizeAge
}

func (c *sizes) put(name string, x size) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= sizesKept {
		c.m = map[string]size{}
	}
	c.m[name] = x
}
