package engine

import (
	"errors"
	"io"
	"maps"
	"slices"
)

// ErrOpenTransactions is the error of Replace while a transaction is open.
var ErrOpenTransactions = errors.New("a transaction is open: end it, or wait until it expires (60 s after its last request)")

// Replace replaces all documents of all databases by those of a snapshot that Save wrote, in one
// step and while the engine is used. For clients it is a write of each document: the update time
// of all documents is the time of Replace, so that a listener with a copy of a document takes the
// new one. The create times are those of the snapshot. No read before can be repeated, and no
// operation is billed. A query that runs at the same moment may miss documents.
//
// If Replace fails, nothing has changed: the snapshot is not complete, or a transaction is open
// (ErrOpenTransactions).
func (e *Engine) Replace(r io.Reader) (Contents, error) {
	loaded := New(e.opt)
	c, err := loaded.Load(r)
	if err != nil {
		return Contents{}, err
	}
	for name := range loaded.databases {
		if _, err := e.Database(name); err != nil {
			return Contents{}, err
		}
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.opt.Now().UnixMicro()
	for _, name := range slices.Sorted(maps.Keys(e.databases)) {
		db := e.databases[name]
		db.mu.Lock()
		defer db.mu.Unlock()
		db.endExpired()
		if len(db.locks.active) > 0 {
			return Contents{}, ErrOpenTransactions
		}
		at = max(at, db.clock+1)
	}
	for _, from := range loaded.databases {
		at = max(at, from.clock) // not before a time of the snapshot
	}

	for name, db := range e.databases {
		db.replaceDocuments(loaded.databases[name], at)
	}
	e.changes.Add(1)
	return c, nil
}

// replaceDocuments replaces all documents by those of a database that nobody uses, at a time;
// from is nil if there are none. db.mu must be held.
func (db *Database) replaceDocuments(from *Database, at instant) {
	db.resetState()
	if from != nil {
		from.documents.each(func(d *document) {
			d.last.at = at
			db.addDocument(d.path, d.last)
		})
	}

	db.clock, db.committed, db.history.lost = at, at, at
	db.wakeListeners()
}
