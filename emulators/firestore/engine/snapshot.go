package engine

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"carillon.example/emulators/snapshot"
)

const (
	snapshotName    = "firestore"
	snapshotVersion = 1
)

// snapshotChunk is how many documents a snapshot reads before it lets commits run.
const snapshotChunk = 512

// notPinned is a time after every commit: no version is kept for a snapshot.
const notPinned instant = math.MaxInt64

// Contents says how much a snapshot has.
type Contents struct{ Databases, Documents int }

// Changes returns a number that grows with every change of a document.
func (e *Engine) Changes() uint64 { return e.changes.Load() }

// Save writes all documents of all databases as they are at one moment, in the form that
// package snapshot describes. A line is a document in the REST form of
// google.firestore.v1.Document, with its create time and its update time. Documents are ordered
// by database, collection and name. Requests go on meanwhile. It fails only if w fails; then the
// snapshot is not complete.
func (e *Engine) Save(w io.Writer) (Contents, error) {
	e.saving.Lock()
	defer e.saving.Unlock()
	at, databases := e.beginSnapshot()
	defer endSnapshot(databases)

	var c Contents
	out := snapshot.NewWriter(w, snapshotName, snapshotVersion, time.UnixMicro(at))
	for _, d := range databases {
		n, err := d.writeDocuments(out, at)
		if err != nil {
			return c, err
		}
		if c.Documents += n; n > 0 {
			c.Databases++
		}
	}

	return c, out.End()
}

// A savedDatabase is a database, and its collections at the time of a snapshot. Clear replaces
// the collections of the database and leaves these unchanged.
type savedDatabase struct {
	*Database
	collections []*collection
}

// beginSnapshot chooses one time for all databases, and keeps their versions at that time until
// endSnapshot. It holds the locks of all databases at once, so that what a client wrote to one
// database before it wrote to another is in the snapshot if the later write is.
func (e *Engine) beginSnapshot() (at instant, out []savedDatabase) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at = e.opt.Now().UnixMicro()
	for _, name := range slices.Sorted(maps.Keys(e.databases)) {
		db := e.databases[name]
		db.mu.Lock()
		defer db.mu.Unlock()
		at = max(at, db.latestReadTime())
		out = append(out, savedDatabase{db, db.sortedCollections()})
	}

	for _, d := range out {
		d.clock, d.pinned = at, at
	}
	return at, out
}

func endSnapshot(databases []savedDatabase) {
	for _, d := range databases {
		d.mu.Lock()
		d.pinned = notPinned
		d.mu.Unlock()
	}
}

// sortedCollections returns the collections ordered by path. db.mu must be held.
func (db *Database) sortedCollections() []*collection {
	return slices.SortedFunc(maps.Values(db.collections), func(a, b *collection) int { return strings.Compare(a.path, b.path) })
}

// writeDocuments writes the documents of a database at a time, and returns their number.
func (d savedDatabase) writeDocuments(out *snapshot.Writer, at instant) (n int, err error) {
	var line []byte
	for _, c := range d.collections {
		s := &stream{db: d.Database, in: c, plan: &plan{}, ix: c.names, at: at}
		for !s.done {
			s.rows = s.rows[:0]
			d.mu.RLock()
			s.fillRows(snapshotChunk)
			d.mu.RUnlock()

			for _, w := range s.rows {
				doc := &Document{Path: w.doc.path, prefix: d.documentsPrefix(), v: w.v}
				if line, err = (protojson.MarshalOptions{}).MarshalAppend(line[:0], doc.Proto()); err != nil {
					return n, fmt.Errorf("encoding %s: %w", doc.Name(), err)
				}
				if err := out.WriteLine(line); err != nil {
					return n, err
				}
				n++
			}
		}
	}

	return n, nil
}
