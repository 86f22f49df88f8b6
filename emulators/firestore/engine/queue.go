package engine

import (
	"context"
	"slices"
	"time"
)

// A reading is the data that a request reads: documents by their paths, or what a query
// finds.
type reading struct {
	paths []string
	query *Query
}

// hold takes the locks of the reading for a transaction.
func (r *reading) hold(l *locks, t *tx) {
	for _, p := range r.paths {
		l.holdDocument(t, p)
	}
	if r.query != nil {
		l.holdQuery(t, r.query)
	}
}

// isChangedBy reports whether a commit would change the data.
func (r *reading) isChangedBy(ps []*pending) bool {
	return slices.ContainsFunc(ps, func(p *pending) bool {
		return slices.Contains(r.paths, p.path) || r.query != nil && r.query.isChangedBy(p.path, p.before, p.after)
	})
}

// A waiter is a commit that waits until older transactions have ended.
type waiter struct {
	age     int64
	tx      *tx // nil outside of a transaction
	changes []*pending
}

// awaitWriters makes a read of a pessimistic transaction wait behind the older commits that
// wait to change the same data, so that the read finds what they write, as with Firestore.
// Only a younger one waits for an older one, so two never wait for each other: a commit that
// waits in turn waits for transactions that are older still. db.mu must be held; it is
// released while the read waits.
func (db *Database) awaitWriters(ctx context.Context, t *tx, r *reading) error {
	if t.optimistic {
		return nil
	}

	deadline := time.Now().Add(db.engine.opt.LockTimeout)
	for db.hasOlderWriter(t, r) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return db.abortTx(t)
		}
		db.waitForLocks(deadline)
		if t.over {
			return errContention
		}
	}
	return nil
}

// hasOlderWriter reports whether an older commit waits to change what t is about to read.
// db.mu must be held.
func (db *Database) hasOlderWriter(t *tx, r *reading) bool {
	for w := range db.locks.waiting {
		if w.tx != t && w.age < t.age && r.isChangedBy(w.changes) {
			return true
		}
	}
	return false
}
