package engine

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A Read selects what a request reads: the present, or one of a transaction, a
// new transaction and a time. At most one field is set.
type Read struct {
	Transaction []byte
	Begin       *pb.TransactionOptions
	Time        *timestamppb.Timestamp
}

// A Snapshot is the point in time that a request has read.
type Snapshot struct {
	at          instant
	Transaction []byte // the id of the transaction that the request began
}

// Time returns the read time for the response.
func (s Snapshot) Time() *timestamppb.Timestamp { return toTimestamp(s.at) }

// openRead determines the time of a read. In a pessimistic transaction it first waits for
// the commits before it, and takes the locks of what is read. what is nil for reads that
// take none.
func (db *Database) openRead(ctx context.Context, r Read, what *reading) (s Snapshot, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	var t *tx
	switch {
	case r.Begin != nil:
		if t, err = db.beginLocked(r.Begin); err == nil {
			s.Transaction = []byte(t.id)
		}
	case len(r.Transaction) > 0:
		t, err = db.findTx(r.Transaction)
	case r.Time != nil:
		s.at, err = db.readTime(r.Time)
		return s, err
	}
	if err != nil {
		return s, err
	}

	locking := t != nil && !t.readOnly && what != nil
	if locking {
		if err := db.awaitWriters(ctx, t, what); err != nil {
			return s, err
		}
	}

	s.at = db.latestReadTime()
	if t == nil {
		return s, nil
	}
	if t.optimistic && t.at == 0 {
		t.at = s.at
	}
	if t.at != 0 {
		s.at = t.at
	}
	if s.at < db.history.lost {
		return s, errTooOld
	}
	if locking {
		what.hold(&db.locks, t)
	}

	return s, nil
}

// readTime checks the read time of a request. db.mu must be held.
func (db *Database) readTime(t *timestamppb.Timestamp) (instant, error) {
	if t.CheckValid() != nil {
		return 0, invalidArgument("read_time is not a valid timestamp.")
	}

	at, now := toInstant(t), db.engine.opt.Now()
	switch {
	case at > max(db.clock, now.UnixMicro()):
		return 0, invalidArgument("read_time cannot be in the future.")
	case at < now.Add(-db.engine.opt.History).UnixMicro() || at < db.history.lost:
		return 0, errTooOld
	}

	db.clock = max(db.clock, at)
	return at, nil
}

// GetAll reads documents by their full names, each name once, in the order of
// the request. For a missing document, Exists is false. Each document is billed
// as a read.
func (db *Database) GetAll(ctx context.Context, r Read, names []string, m *pb.DocumentMask) ([]*Document, Snapshot, error) {
	mask, err := parseMask(m)
	if err != nil {
		return nil, Snapshot{}, err
	}

	paths, err := db.checkPaths(names)
	if err != nil {
		return nil, Snapshot{}, err
	}

	snap, err := db.openRead(ctx, r, &reading{paths: paths})
	if err != nil {
		return nil, snap, err
	}

	out := make([]*Document, len(paths))

	db.mu.RLock()
	for i, p := range paths {
		out[i] = &Document{Path: p, prefix: db.documentsPrefix(), v: db.documents.get(p).versionAt(snap.at), mask: mask, masked: m != nil}
	}
	db.mu.RUnlock()

	db.engine.bill(ctx, int64(len(out)), 0, 0)
	return out, snap, nil
}

// Exists reports whether the document exists.
func (d *Document) Exists() bool { return d.v != nil }

// checkPaths checks the names of documents and removes duplicates.
func (db *Database) checkPaths(names []string) ([]string, error) {
	seen := make(map[string]bool, len(names))
	out := make([]string, 0, len(names))
	for _, n := range names {
		name, path, err := parseDocName(n)
		if err != nil {
			return nil, err
		}
		if name != db.name {
			return nil, invalidArgument("Document %.200q is not in database %q.", n, db.name)
		}
		if !seen[path] {
			seen[path] = true
			out = append(out, path)
		}
	}

	return out, nil
}

// A Result is the result of a query. Each reads it.
type Result struct {
	Snapshot
	db *Database
	q  *Query
}

// Query starts a query. It returns FailedPrecondition when Options.IndexRules
// requires an index that is not declared.
func (db *Database) Query(ctx context.Context, q *Query, r Read) (*Result, error) {
	if err := db.engine.opt.IndexRules.checkQuery(q, nil); err != nil {
		return nil, err
	}
	snap, err := db.openRead(ctx, r, &reading{query: q})
	return &Result{snap, db, q}, err
}

// Each calls f with every document in order. The documents found and the
// documents that the offset skips are billed as reads, at least one. skipped is
// the number of documents that the offset skips.
func (r *Result) Each(ctx context.Context, f func(*Document) error) (skipped int, err error) {
	found := 0
	defer func() { r.db.engine.bill(ctx, int64(max(1, found+skipped)), 0, 0) }()
	var near []row
	e := r.db.eachResult(ctx, r.q, r.at, func(w row, skip bool) bool {
		switch {
		case skip:
			skipped++
			return true
		case r.q.nearest != nil:
			near = append(near, w)
			return true
		}
		found++
		err = f(r.q.documentOf(w))
		return err == nil
	})
	if err != nil || e != nil {
		return skipped, firstOf(err, e)
	}
	if r.q.nearest == nil {
		return skipped, nil
	}

	for _, d := range r.q.nearest.pickNearest(r.q, near) {
		found++
		if err := f(d); err != nil {
			return skipped, err
		}
	}

	return skipped, nil
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (q *Query) documentOf(w row) *Document {
	return &Document{Path: w.doc.path, prefix: q.prefix, v: w.v, mask: q.mask, masked: q.masked}
}

// eachResult calls f for the rows within offset and limit, and with skipped set
// for the rows that the offset skips, until f returns false.
func (db *Database) eachResult(ctx context.Context, q *Query, at instant, f func(w row, skipped bool) bool) error {
	if q.limit == 0 {
		return nil
	}
	seen := 0
	return q.eachRow(ctx, db, at, func(w row) bool {
		seen++
		if seen <= q.offset {
			return f(w, true)
		}
		return f(w, false) && (q.limit < 0 || seen < q.offset+q.limit)
	})
}
