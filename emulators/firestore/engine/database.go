package engine

import (
	"slices"
	"strings"
	"sync"
)

// A Database is one database of a project. It is safe for concurrent use.
type Database struct {
	name   string // projects/P/databases/D
	engine *Engine

	optimistic bool // its concurrency mode: transactions take no locks unless they ask for them

	// mu guards all fields below it, and the indexes and versions that they lead
	// to.
	mu          sync.RWMutex
	clock       instant // the latest commit or read time that was assigned
	committed   instant // the latest commit time
	documents   *register
	collections map[string]*collection
	groups      map[string]map[string]*collection // by collection id, then path
	history     history
	pinned      instant       // versions at this time are kept, for a snapshot; notPinned: there is none
	changed     chan struct{} // closed at the next commit
	locks       locks
}

func newDatabase(name string, e *Engine) *Database {
	_, id, _ := strings.Cut(name, "/databases/")
	db := &Database{name: name, engine: e, optimistic: slices.Contains(e.opt.Optimistic, id), changed: make(chan struct{}), pinned: notPinned}
	db.resetState()
	db.locks = newLocks(&db.mu)
	return db
}

func (db *Database) resetState() {
	db.documents = newRegister()
	db.collections = map[string]*collection{}
	db.groups = map[string]map[string]*collection{}
	db.history = history{}
}

func (db *Database) hasCollections() bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return len(db.collections) > 0
}

// clearDocuments removes all documents and releases the locks of all
// transactions.
func (db *Database) clearDocuments() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.resetState()
	db.committed = db.nextCommitTime()
	db.history.lost = db.committed
	db.engine.changes.Add(1)
	db.locks.reset()
	db.wakeListeners()
}

// wakeListeners closes the channel that listeners wait for. db.mu must be held.
func (db *Database) wakeListeners() {
	close(db.changed)
	db.changed = make(chan struct{})
}

func (db *Database) documentsPrefix() string { return db.name + "/documents/" }

// nextCommitTime returns a commit time later than every time assigned before,
// even when the clock goes back. db.mu must be held.
func (db *Database) nextCommitTime() instant {
	db.clock = max(db.clock+1, db.engine.opt.Now().UnixMicro())
	return db.clock
}

// latestReadTime returns a time that includes all commits so far and precedes
// all later commits. db.mu must be held.
func (db *Database) latestReadTime() instant {
	db.clock = max(db.clock, db.engine.opt.Now().UnixMicro())
	return db.clock
}

// A collection holds the documents directly in it, current ones and deleted
// ones with history, and their indexes.
type collection struct {
	path    string
	size    int // number of documents, including deleted ones with history
	names   *index
	indexes map[string]*index // all except names, by indexID
	builds  map[string]*build // indexes that are being built, by indexID
}

// collectionAt returns the collection with a path, and creates it when it does not
// exist. db.mu must be held.
func (db *Database) collectionAt(path string) *collection {
	c := db.collections[path]
	if c == nil {
		c = &collection{path: path, names: &index{}}
		db.collections[path] = c
		id := lastSegment(path)
		if db.groups[id] == nil {
			db.groups[id] = map[string]*collection{}
		}
		db.groups[id][path] = c
	}
	return c
}

// storeVersion stores a new version of a document and updates the indexes. db.mu must be
// held.
func (db *Database) storeVersion(path string, v *version) {
	d := db.documents.get(path)
	if d == nil {
		if !v.exists() {
			return
		}
		d = &document{path: path, in: db.collectionAt(parentPath(path))}
		db.documents.put(d)
		d.in.size++
	}

	d.in.noteChange(d)
	v.prev = d.last
	d.last = v
	d.in.names.updateEntries(d, v.prev, v)
	for _, ix := range d.in.indexes {
		ix.updateEntries(d, v.prev, v)
	}

	db.history.addChange(d, v)
}

// removeDocument removes a document that has no current and no old version, and its
// collection when that is empty. db.mu must be held.
func (db *Database) removeDocument(d *document) {
	db.documents.remove(d)
	if d.in.size--; d.in.size > 0 {
		return
	}
	delete(db.collections, d.in.path)
	id := lastSegment(d.in.path)
	if delete(db.groups[id], d.in.path); len(db.groups[id]) == 0 {
		delete(db.groups, id)
	}
}

// collectionsUnder returns the collections that a query reads, ordered by path: the one
// with the id directly below the parent, or with deep all with the id at any depth below
// it. db.mu must be held.
func (db *Database) collectionsUnder(parent, id string, deep bool) []*collection {
	if !deep {
		if c := db.collections[joinPath(parent, id)]; c != nil {
			return []*collection{c}
		}
		return nil
	}

	among := db.groups[id]
	if id == "" {
		among = db.collections
	}

	var out []*collection
	for p, c := range among {
		if parent == "" || strings.HasPrefix(p, parent+"/") {
			out = append(out, c)
		}
	}

	slices.SortFunc(out, func(a, b *collection) int { return strings.Compare(a.path, b.path) })
	return out
}
