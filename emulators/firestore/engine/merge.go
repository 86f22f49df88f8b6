package engine

import (
	"container/heap"
	"context"
	"strings"
	"sync/atomic"
)

// A streamHeap is a heap (container/heap) of streams. It returns their rows in the order
// of the query.
type streamHeap struct {
	streams  []*stream
	backward bool
}

func (m *streamHeap) Len() int      { return len(m.streams) }
func (m *streamHeap) Swap(i, j int) { m.streams[i], m.streams[j] = m.streams[j], m.streams[i] }
func (m *streamHeap) Push(x any)    { m.streams = append(m.streams, x.(*stream)) }
func (m *streamHeap) Pop() any {
	s := m.streams[len(m.streams)-1]
	m.streams = m.streams[:len(m.streams)-1]
	return s
}

// Less compares the next rows. Every stream in the heap has one.
func (m *streamHeap) Less(i, j int) bool {
	a, b := m.streams[i], m.streams[j]
	x, y := a.rows[a.next], b.rows[b.next]
	c := strings.Compare(x.key[a.plan.sharedBytes:], y.key[b.plan.sharedBytes:])
	if c == 0 {
		c = comparePaths(x.doc.path, y.doc.path)
	}
	if m.backward {
		c = -c
	}
	return c < 0
}

// openStreams opens a stream for each branch in each collection.
func (q *Query) openStreams(db *Database, at instant) (*streamHeap, error) {
	m := &streamHeap{}
	for _, b := range q.branches {
		p := q.planBranch(b)
		m.backward = p.backward
		for _, s := range db.streamsOfPlan(q, p, at) {
			if _, ok := s.peekRow(); ok {
				m.streams = append(m.streams, s)
			} else if s.err != nil {
				return nil, s.err
			}
		}
	}

	heap.Init(m)
	return m, nil
}

// takeFirst returns the first row of all streams and the plan that found it.
func (m *streamHeap) takeFirst() (row, *plan, error) {
	s := m.streams[0]
	r, p := s.rows[s.next], s.plan // the next row may come from another plan
	s.next++
	if _, ok := s.peekRow(); ok {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
	}
	return r, p, s.err
}

// eachRow calls f for every row of the query at a time, in order and once per
// document, until f returns false. It ignores offset and limit.
func (q *Query) eachRow(ctx context.Context, db *Database, at instant, f func(row) bool) error {
	m, err := q.openStreams(db, at)
	if err != nil {
		return err
	}

	var before *document
	for n := 0; len(m.streams) > 0; n++ {
		if n%laterBatch == 0 && ctx.Err() != nil {
			return contextError(ctx)
		}
		r, p, err := m.takeFirst()
		if err != nil {
			return err
		}
		if r.doc == before || !q.acceptsRow(p, r) {
			continue // two branches may find the same document; the rows are then adjacent
		}
		before = r.doc
		if !f(r) {
			return nil
		}
	}

	return nil
}

func (q *Query) acceptsRow(p *plan, r row) bool {
	for _, f := range p.required {
		if _, ok := r.v.body.valueAt(f); !ok {
			return false
		}
	}
	return len(p.rest) == 0 || p.rest.matchesFields(q.fieldGetter(r.doc.path, r.v))
}

// maxIndexes is the largest number of indexes of a collection. Beyond it, the
// least recently used index is dropped.
const maxIndexes = 64

// streamsOfPlan opens a stream of a plan in each collection of the query.
func (db *Database) streamsOfPlan(q *Query, p *plan, at instant) []*stream {
	id := indexID(p.parts)
	db.mu.RLock()
	defer db.mu.RUnlock()
	var out []*stream
	for _, c := range db.collectionsUnder(q.parent, q.id, q.deep) {
		out = append(out, db.newStreamLocked(c, p, id, at))
	}
	return out
}

var uses atomic.Int64 // counts all uses of indexes, to find the least recently used one

func (c *collection) keepIndex(id string, ix *index) {
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
