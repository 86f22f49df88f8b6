package engine

import (
	"slices"
	"strings"
	"sync"
)

// A Database is one database of a project.
type Database struct {
	name   string // projects/P/databases/D
	engine *Engine

	mu          sync.RWMutex
	clock       instant // the latest commit or read time given out
	committed   instant // the latest commit time
	documents   *register
	collections map[string]*collection
	groups      map[string]map[string]*collection // by collection id, then path
	history     history
	changed     chan struct{} // closed at the next commit
	locks       locks
}

func newDatabase(name string, e *Engine) *Database {
	db := &Database{name: name, engine: e, changed: make(chan struct{})}
	db.empty()
	db.locks = newLocks(&db.mu)
	return db
}

func (db *Database) empty() {
	db.documents = newRegister()
	db.collections = map[string]*collection{}
	db.groups = map[string]map[string]*collection{}
	db.history = history{}
}

// clear forgets all documents, and all transactions lose their locks.
func (db *Database) clear() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.empty()
	db.committed = db.tick()
	db.history.lost = db.committed
	db.locks.reset()
	db.announce()
}

// announce wakes the listeners.
func (db *Database) announce() {
	close(db.changed)
	db.changed = make(chan struct{})
}

func (db *Database) prefix() string { return db.name + "/documents/" }

// tick returns a new commit time, later than every time given out before,
// whatever the clock does.
func (db *Database) tick() instant {
	db.clock = max(db.clock+1, db.engine.opt.Now().UnixMicro())
	return db.clock
}

// now is a time at which all commits so far are visible and none to come is.
func (db *Database) now() instant {
	db.clock = max(db.clock, db.engine.opt.Now().UnixMicro())
	return db.clock
}

// A collection is the documents directly in it, live or with history, and the
// indexes made for them.
type collection struct {
	path    string
	size    int // documents, deleted ones with history included
	names   *index
	indexes map[string]*index // without names
}

func (db *Database) collection(path string) *collection {
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

// put stores a new version of a document and brings the indexes up to date.
func (db *Database) put(path string, v *version) {
	d := db.documents.get(path)
	if d == nil {
		if !v.exists() {
			return
		}
		d = &document{path: path, in: db.collection(parentPath(path))}
		db.documents.put(d)
		d.in.size++
	}

	v.prev = d.last
	d.last = v
	d.in.names.update(d, v.prev, v)
	for _, ix := range d.in.indexes {
		ix.update(d, v.prev, v)
	}

	db.history.add(d, v)
}

// forget takes a document without any live or old version away.
func (db *Database) forget(d *document) {
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

// below returns the collections a query reads: the one with the id under the
// parent, or all with the id at any depth below it.
func (db *Database) below(parent, id string, deep bool) []*collection {
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
