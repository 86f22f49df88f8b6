package engine

import (
	"slices"
	"strings"
)

// buildChunk is how many documents a build reads before it lets commits run.
const buildChunk = 512

// A build makes an index of a collection while commits go on: a large collection takes
// seconds, for which nothing else would be answered. It reads the documents in chunks
// under db.mu. Commits note the documents that they change, and the build brings these up
// to date before anyone uses the index.
type build struct {
	ix   *index
	done chan struct{} // closed when the index is complete
	// changed holds the entries that documents had before they first changed during the
	// build. Database.mu guards it.
	changed map[*document]documentEntries
}

// documentEntries are the keys of the entries of one document in an index.
type documentEntries struct{ live, past []string }

// findOrBuildIndex returns the index of a collection with the given parts. It
// builds the index when it does not exist. db.mu must not be held.
func (db *Database) findOrBuildIndex(c *collection, parts []part) *index {
	id := indexID(parts)
	db.mu.Lock()
	if ix := c.indexes[id]; ix != nil {
		ix.used.Store(uses.Add(1))
		db.mu.Unlock()
		return ix
	}
	if other := c.builds[id]; other != nil {
		db.mu.Unlock()
		<-other.done
		return other.ix
	}
	b := c.beginBuild(id, parts)
	docs := c.allDocuments()
	db.mu.Unlock()

	b.readDocuments(db, docs)

	db.mu.Lock()
	defer db.mu.Unlock()
	b.applyChanges()
	delete(c.builds, id)
	c.keepIndex(id, b.ix)
	b.ix.used.Store(uses.Add(1))
	close(b.done)
	return b.ix
}

// beginBuild registers a build, so that commits note what they change. db.mu must be held.
func (c *collection) beginBuild(id string, parts []part) *build {
	b := &build{ix: &index{parts: parts}, done: make(chan struct{}), changed: map[*document]documentEntries{}}
	if c.builds == nil {
		c.builds = map[string]*build{}
	}
	c.builds[id] = b
	return b
}

// noteChange tells the builds of the collection that the versions of a document are about
// to change. db.mu must be held.
func (c *collection) noteChange(d *document) {
	for _, b := range c.builds {
		if _, noted := b.changed[d]; !noted {
			b.changed[d] = b.ix.entriesOf(d)
		}
	}
}

// readDocuments fills the index with the entries of documents that have not changed since
// the build began. They are sorted without db.mu, because nobody else knows the index.
func (b *build) readDocuments(db *Database, docs []*document) {
	var live []numbered
	var past []entry
	one := interner{}
	var scratch []byte
	n := 0
	for chunk := range slices.Chunk(docs, buildChunk) {
		db.mu.RLock()
		for _, d := range chunk {
			n++
			if _, changed := b.changed[d]; changed {
				continue // applyChanges adds it
			}
			if k, ok := b.ix.onlyKey(scratch[:0], d.last); ok && d.last.exists() {
				live = append(live, numbered{entry{one.intern(k), d}, n})
				scratch = k
			} else {
				for _, k := range b.ix.keysOf(d.last) {
					live = append(live, numbered{entry{k, d}, n})
				}
			}
			for _, k := range b.ix.pastKeysOf(d) {
				past = append(past, entry{k, d})
			}
		}
		db.mu.RUnlock()
	}

	slices.SortFunc(past, entry.compareTo)
	b.ix.live.loadOrdered(sortEntries(live))
	b.ix.past.loadOrdered(past)
}

// applyChanges replaces the entries of the documents that have changed. Entries of a
// document that changed before it was read are not there, and removing them does nothing.
// All are removed first: a new document may have the name of one that is gone. db.mu must
// be held.
func (b *build) applyChanges() {
	for d, before := range b.changed {
		for _, k := range before.live {
			b.ix.live.remove(entry{k, d})
		}
		for _, k := range before.past {
			b.ix.past.remove(entry{k, d})
		}
	}

	for d := range b.changed {
		now := b.ix.entriesOf(d)
		for _, k := range now.live {
			b.ix.live.insert(entry{k, d})
		}
		for _, k := range now.past {
			b.ix.past.insert(entry{k, d})
		}
	}
}

// entriesOf returns the keys of all entries of a document.
func (ix *index) entriesOf(d *document) documentEntries {
	return documentEntries{ix.keysOf(d.last), ix.pastKeysOf(d)}
}

// pastKeysOf returns the keys of a document's entries in past: those of each version that
// the next version does not have.
func (ix *index) pastKeysOf(d *document) (keys []string) {
	for v := d.last; v != nil && v.prev != nil; v = v.prev {
		is := ix.keysOf(v)
		for _, k := range ix.keysOf(v.prev) {
			if !slices.Contains(is, k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// A numbered entry holds the number of live documents before its own. Sorting
// by this number is faster than sorting by name.
type numbered struct {
	entry
	n int
}

func sortEntries(ns []numbered) []entry {
	slices.SortFunc(ns, func(a, b numbered) int {
		if a.key != b.key {
			return strings.Compare(a.key, b.key)
		}
		return a.n - b.n
	})
	out := make([]entry, len(ns))
	for i, n := range ns {
		out[i] = n.entry
	}
	return out
}

// An interner stores equal keys once, as long as there are few distinct keys.
type interner map[string]string

func (in interner) intern(k []byte) string {
	if s, ok := in[string(k)]; ok {
		return s
	}
	s := string(k)
	if len(in) < 1024 {
		in[s] = s
	}
	return s
}

// allDocuments returns every document that has a version, current documents
// first.
func (c *collection) allDocuments() []*document {
	out := make([]*document, 0, c.size)
	for _, b := range c.names.live.blocks {
		for _, e := range b {
			out = append(out, e.doc)
		}
	}

	var before *document // a document that was deleted twice has two adjacent entries
	for _, b := range c.names.past.blocks {
		for _, e := range b {
			if !e.doc.last.exists() && e.doc != before {
				out = append(out, e.doc)
			}
			before = e.doc
		}
	}

	return out
}
