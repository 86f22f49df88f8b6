package engine

import "slices"

// Rows are read in batches, each under the lock, so that writers can run during
// a long query. Batches after a commit read older versions.
const (
	firstBatch = 64
	laterBatch = 1024
)

// A row is a document that a query has found.
type row struct {
	entry
	v *version
}

// A stream returns the rows of one plan in one collection.
//
// A plan that is ordered by name alone and has no index yet first checks some
// documents in the order of their names. If many match, a page is full before
// building an index would pay off.
type stream struct {
	db    *Database
	in    *collection
	plan  *plan
	ix    *index // nil until it is found or built
	then  *plan  // the plan to continue with when left is 0
	left  int    // number of documents to check by name before an index is built
	at    instant
	rows  []row
	next  int
	last  entry
	begun bool
	done  bool
	err   error
}

// newStreamLocked starts to read a plan in a collection.
func (db *Database) newStreamLocked(c *collection, p *plan, id string, at instant) *stream {
	s := &stream{db: db, in: c, plan: p, at: at}
	switch {
	case len(p.parts) == 0:
		s.ix = c.names
	case c.indexes[id] != nil:
		s.ix = c.indexes[id]
		s.ix.used.Store(uses.Add(1))
	case p.pinned == len(p.parts):
		s.plan, s.then, s.ix, s.left = p.byName(), p, c.names, db.engine.opt.LookFirst
	}
	return s
}

// peekRow returns the next row and fetches a batch when it needs one.
func (s *stream) peekRow() (row, bool) {
	for s.next == len(s.rows) {
		if s.done {
			return row{}, false
		}
		s.fetchBatch()
	}
	return s.rows[s.next], true
}

// fetchBatch reads the next rows. It takes db.mu for each batch and not for the whole
// query, so that writers do not wait for a long query.
func (s *stream) fetchBatch() {
	if s.then != nil && s.left <= 0 {
		s.plan, s.then, s.ix = s.then, nil, nil
		s.last.key = s.plan.lower[0].key // all entries of the range share it
	}
	if s.ix == nil {
		s.ix = s.db.findOrBuildIndex(s.in, s.plan.parts)
	}

	want := laterBatch
	if !s.begun {
		want = firstBatch
	}

	s.rows, s.next = s.rows[:0], 0
	s.db.mu.RLock()
	defer s.db.mu.RUnlock()
	if s.db.history.lost > s.at {
		s.done, s.err = true, errTooOld // the read was so slow that its versions have been dropped
		return
	}

	s.fillRows(want)
}

// fillRows fetches rows until it has enough, there are no more, or an index must be
// built. db.mu must be held.
func (s *stream) fillRows(want int) {
	live := s.newWalker(&s.ix.live)
	var past *walker
	if s.db.committed > s.at {
		past = s.newWalker(&s.ix.past)
	}

	for len(s.rows) < want && (s.then == nil || s.left > 0) {
		e, ok := s.nextEntry(live, past)
		if !ok {
			s.done = true
			return
		}
		s.begun, s.last = true, e
		s.left--
		v := e.doc.versionAt(s.at)
		if v == nil || past != nil && !slices.Contains(s.ix.keysOf(v), e.key) {
			continue
		}
		s.rows = append(s.rows, row{e, v})
	}
}

// nextEntry returns the next entry of live and past in their common order, each
// entry once.
func (s *stream) nextEntry(live, past *walker) (entry, bool) {
	a, okA := live.peekEntry()
	if past == nil {
		live.advance()
		return a, okA
	}

	b, okB := past.peekEntry()
	if !okB || okA && s.plan.compareInOrder(a, b) < 0 {
		live.advance()
		return a, okA
	}

	for x := b; okB && x.compareTo(b) == 0; x, okB = past.peekEntry() {
		past.advance() // past may hold the same entry more than once
	}
	if okA && a.compareTo(b) == 0 {
		live.advance()
	}

	return b, true
}

// compareInOrder compares entries in the direction of reading.
func (p *plan) compareInOrder(a, b entry) int {
	if p.backward {
		return b.compareTo(a)
	}
	return a.compareTo(b)
}

// A walker visits the entries of one list within the bounds of the plan, in the
// direction of reading.
type walker struct {
	list *sorted
	plan *plan
	p    place
	over bool
}

// newWalker returns a walker that starts after the last entry that was read.
func (s *stream) newWalker(list *sorted) *walker {
	w := &walker{list: list, plan: s.plan}

	if !s.plan.backward {
		w.p = list.findFirst(func(e entry) bool {
			return s.plan.aboveLower(e) && (!s.begun || e.compareTo(s.last) > 0)
		})
		return w
	}

	beyond := list.findFirst(func(e entry) bool {
		return !s.plan.belowUpper(e) || s.begun && e.compareTo(s.last) >= 0
	})
	w.p = list.previous(beyond)
	return w
}

func (w *walker) peekEntry() (entry, bool) {
	e, ok := w.list.entryAt(w.p)
	if w.over || !ok {
		return entry{}, false
	}
	if w.plan.backward && !w.plan.aboveLower(e) || !w.plan.backward && !w.plan.belowUpper(e) {
		w.over = true
		return entry{}, false
	}
	return e, true
}

func (w *walker) advance() {
	switch _, ok := w.list.entryAt(w.p); {
	case !ok:
	case w.plan.backward:
		w.p = w.list.previous(w.p)
	default:
		w.p = w.list.next(w.p)
	}
}
