package engine

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// history holds the changes of the last hour in the order of their commits.
// Reads at a time, optimistic transactions and listeners use it.
type history struct {
	changes []change
	bytes   int64   // the approximate memory that the changes hold
	lost    instant // changes at or before this time have been dropped
}

// A change is a new version of one document. Its prev is the version before.
type change struct {
	doc   *document
	after *version
}

// changeSize is the size of a change in bytes, without the body of the version
// before.
const changeSize = 64

func (c change) byteSize() int64 {
	if c.after.prev == nil {
		return changeSize
	}
	return changeSize + int64(len(c.after.prev.body))
}

func (h *history) addChange(d *document, v *version) {
	c := change{d, v}
	h.changes = append(h.changes, c)
	h.bytes += c.byteSize()
}

// errTooOld is the error of a read before the start of the history.
var errTooOld = status.Error(codes.FailedPrecondition, "The requested read_time is too old.")

// changesSince returns the changes after a time, newest last. ok is false when
// the history does not reach back that far.
func (h *history) changesSince(at instant) ([]change, bool) {
	if at < h.lost {
		return nil, false
	}
	i := len(h.changes)
	for i > 0 && h.changes[i-1].after.at > at {
		i--
	}
	return h.changes[i:], true
}

// pruneHistory drops the versions that no read can reach any more. It also drops the
// oldest versions when they use too much memory. It keeps those that a snapshot still reads.
// db.mu must be held.
func (db *Database) pruneHistory() {
	horizon := db.clock - db.engine.opt.History.Microseconds()
	h := &db.history
	n := 0
	for n < len(h.changes) && h.changes[n].after.at <= db.pinned && (h.changes[n].after.at < horizon || h.bytes > db.engine.opt.Superseded) {
		h.bytes -= h.changes[n].byteSize()
		db.dropVersion(h.changes[n])
		n++
	}
	if n == 0 {
		return
	}

	h.lost = h.changes[n-1].after.at
	clear(h.changes[:n])
	h.changes = h.changes[n:]
}

// dropVersion makes the version before a change unreachable. db.mu must be held.
func (db *Database) dropVersion(c change) {
	c.doc.in.noteChange(c.doc)
	c.doc.in.names.dropPastEntries(c.doc, c.after)
	for _, ix := range c.doc.in.indexes {
		ix.dropPastEntries(c.doc, c.after)
	}
	c.after.prev = nil
	if c.doc.last == c.after && !c.after.exists() {
		db.removeDocument(c.doc)
	}
}
