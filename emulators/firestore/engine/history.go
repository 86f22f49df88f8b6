package engine

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// history is the changes of the last hour, in the order of their commits: what
// reads at a time, optimistic transactions and listeners look back at.
type history struct {
	changes []change
	bytes   int64   // what the changes keep in memory, about
	lost    instant // changes at or before this time are no longer known
}

// A change is one document's new version; its prev is the version before.
type change struct {
	doc   *document
	after *version
}

// changeSize is what a change takes besides the body of the version before.
const changeSize = 64

func (c change) size() int64 {
	if c.after.prev == nil {
		return changeSize
	}
	return changeSize + int64(len(c.after.prev.body))
}

func (h *history) add(d *document, v *version) {
	c := change{d, v}
	h.changes = append(h.changes, c)
	h.bytes += c.size()
}

// errTooOld answers reads of what the history no longer has.
var errTooOld = status.Error(codes.FailedPrecondition, "The requested read_time is too old.")

// since returns the changes after a time, newest last; not ok when the memory
// does not reach back so far.
func (h *history) since(at instant) ([]change, bool) {
	if at < h.lost {
		return nil, false
	}
	i := len(h.changes)
	for i > 0 && h.changes[i-1].after.at > at {
		i--
	}
	return h.changes[i:], true
}

// prune drops the versions that no read can reach any more, and the oldest ones
// of those that take too much memory.
func (db *Database) prune() {
	horizon := db.clock - db.engine.opt.History.Microseconds()
	h := &db.history
	n := 0
	for n < len(h.changes) && (h.changes[n].after.at < horizon || h.bytes > db.engine.opt.Superseded) {
		h.bytes -= h.changes[n].size()
		db.drop(h.changes[n])
		n++
	}
	if n == 0 {
		return
	}

	h.lost = h.changes[n-1].after.at
	clear(h.changes[:n])
	h.changes = h.changes[n:]
}

// drop makes the version before a change unreachable.
func (db *Database) drop(c change) {
	c.doc.in.names.drop(c.doc, c.after)
	for _, ix := range c.doc.in.indexes {
		ix.drop(c.doc, c.after)
	}
	c.after.prev = nil
	if c.doc.last == c.after && !c.after.exists() {
		db.forget(c.doc)
	}
}
