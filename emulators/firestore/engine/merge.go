package engine

import (
	"container/heap"
	"context"
	"strings"
	"sync/atomic"
)

// A merge is several streams in the one order of their query.
type merge struct {
	streams  []*stream
	backward bool
}

func (m *merge) Len() int      { return len(m.streams) }
func (m *merge) Swap(i, j int) { m.streams[i], m.streams[j] = m.streams[j], m.streams[i] }
func (m *merge) Push(x any)    { m.streams = append(m.streams, x.(*stream)) }
func (m *merge) Pop() any {
	s := m.streams[len(m.streams)-1]
	m.streams = m.streams[:len(m.streams)-1]
	return s
}

// Less compares the heads, which every stream in the heap has.
func (m *merge) Less(i, j int) bool {
	a, b := m.streams[i], m.streams[j]
	x, y := a.rows[a.next], b.rows[b.next]
	c := strings.Compare(x.key[a.plan.prefix:], y.key[b.plan.prefix:])
	if c == 0 {
		c = comparePaths(x.doc.path, y.doc.path)
	}
	if m.backward {
		c = -c
	}
	return c < 0
}

// open begins to read the ranges of all branches in all collections.
func (q *Query) open(db *Database, at instant) (*merge, error) {
	m := &merge{}
	for _, b := range q.branches {
		p := q.plan(b)
		m.backward = p.backward
		for _, s := range db.streams(q, p, at) {
			if _, ok := s.head(); ok {
				m.streams = append(m.streams, s)
			} else if s.err != nil {
				return nil, s.err
			}
		}
	}

	heap.Init(m)
	return m, nil
}

// take returns the first row of all and the plan it was found by.
func (m *merge) take() (row, *plan, error) {
	s := m.streams[0]
	r, p := s.rows[s.next], s.plan // the head after it may be of another plan
	s.next++
	if _, ok := s.head(); ok {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
	}
	return r, p, s.err
}

// each calls f for every row of the query at a time, in order and once, until f
// returns false. Offset and limit are not looked at.
func (q *Query) each(ctx context.Context, db *Database, at instant, f func(row) bool) error {
	m, err := q.open(db, at)
	if err != nil {
		return err
	}

	var before *document
	for n := 0; len(m.streams) > 0; n++ {
		if n%laterBatch == 0 && ctx.Err() != nil {
			return contextError(ctx)
		}
		r, p, err := m.take()
		if err != nil {
			return err
		}
		if r.doc == before || !q.accepts(p, r) {
			continue // two branches may find the same document, one after the other
		}
		before = r.doc
		if !f(r) {
			return nil
		}
	}

	return nil
}

func (q *Query) accepts(p *plan, r row) bool {
	for _, f := range p.required {
		if _, ok := r.v.body.lookup(f); !ok {
			return false
		}
	}
	return len(p.rest) == 0 || p.rest.matches(q.getter(r.doc.path, r.v))
}

// maxIndexes is how many indexes a collection keeps; beyond, the one unused for
// longest is given up.
const maxIndexes = 64

// streams begins to read a plan in each of the query's collections.
func (db *Database) streams(q *Query, p *plan, at instant) []*stream {
	id := indexID(p.parts)
	db.mu.RLock()
	defer db.mu.RUnlock()
	var out []*stream
	for _, c := range db.below(q.parent, q.id, q.deep) {
		out = append(out, db.stream(c, p, id, at))
	}
	return out
}

// index returns a collection's index of some parts, made when it is not there.
func (db *Database) index(c *collection, parts []part) *index {
	db.mu.Lock()
	defer db.mu.Unlock()
	id := indexID(parts)
	ix := c.indexes[id]
	if ix == nil {
		ix = c.build(parts)
		c.keep(id, ix)
	}
	ix.used.Store(uses.Add(1))
	return ix
}

var uses atomic.Int64 // grows with every use of an index, to tell which is unused for longest

func (c *collection) keep(id string, ix *index) {
	if c.indexes == nil {
		c.indexes = map[string]*index{}
	}
	if len(c.indexes) >= maxIndexes {
		oldest := ""
		for id, x := range c.indexes {
			if oldest == "" || x.used.Load() < c.indexes[oldest].used.Load() {
				oldest = id
			}
		}
		delete(c.indexes, oldest)
	}
	c.indexes[id] = ix
}
