// Package engine is a Firestore database (Native mode, Standard edition) in
// memory: versioned documents, indexes, queries, transactions and listeners.
//
// It uses the messages of google.firestore.v1 and returns errors as gRPC
// statuses, because their codes and texts are part of the behaviour of
// Firestore. It contains no server code and no streams.
//
// Documents are stored encoded and in versions. So a read at a time needs the
// lock only while it uses an index, and reads and writes do not wait for each
// other. An index is built when a query first needs it and updated from then
// on. It holds exactly the fields that the query filters and orders by, in that
// order. So every query without OR reads one range of one index.
package engine

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure an Engine. The zero value is valid.
type Options struct {
	Now         func() time.Time // nil: time.Now
	LockTimeout time.Duration    // how long a write waits for the locks of transactions; 0: 5 s
	IdleLease   time.Duration    // a transaction that is idle for longer loses its locks; 0: 60 s, as the service
	TotalLease  time.Duration    // a transaction that is older loses its locks; 0: 270 s, as the service
	History     time.Duration    // how far back a read time may be; 0: one hour, as the service
	Superseded  int64            // limit for old versions in bytes, the oldest are dropped first; 0: 256 MiB
	LookFirst   int              // number of documents that a query ordered by name checks before an index is built for it; 0: 4,096, negative: none
	Optimistic  []string         // ids of databases whose transactions are optimistic unless they ask for locks
	IndexRules  *Indexes         // the declared indexes; nil: no query is refused because of a missing index
}

// An Engine holds databases. It creates each one at its first use. It is safe
// for concurrent use.
type Engine struct {
	opt Options

	mu        sync.Mutex // guards databases
	databases map[string]*Database

	saving sync.Mutex // held by Save, because a database keeps the versions of one snapshot

	total   Bill
	changes atomic.Uint64
}

// New returns an engine without databases.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.LockTimeout = cmp.Or(o.LockTimeout, 5*time.Second)
	o.IdleLease = cmp.Or(o.IdleLease, 60*time.Second)
	o.TotalLease = cmp.Or(o.TotalLease, 270*time.Second)
	o.History = cmp.Or(o.History, time.Hour)
	o.LookFirst = cmp.Or(o.LookFirst, 4096)
	o.Superseded = cmp.Or(o.Superseded, 256<<20)
	return &Engine{opt: o, databases: map[string]*Database{}}
}

// Database returns a database. name is the name of the database
// ("projects/P/databases/D"), or of a document or a parent of collections in
// it.
func (e *Engine) Database(name string) (*Database, error) {
	if db, _, ok := splitName(name); ok {
		name = db
	} else if !isDatabase(name) {
		return nil, invalidArgument("Invalid database name: %.200q", name)
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.databases[name]
	if d == nil {
		d = newDatabase(name, e)
		e.databases[name] = d
	}
	return d, nil
}

// Databases returns the names of the databases that have collections.
func (e *Engine) Databases() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for name, d := range e.databases {
		if d.hasCollections() {
			out = append(out, name)
		}
	}
	return out
}

// Clear removes all documents of one database ("projects/P/databases/D"), or of
// all databases when name is "". Its listeners receive every document as
// deleted.
func (e *Engine) Clear(name string) {
	e.mu.Lock()
	var cleared []*Database
	for n, d := range e.databases {
		if name == "" || n == name {
			cleared = append(cleared, d)
		}
	}
	e.mu.Unlock()
	for _, d := range cleared {
		d.clearDocuments()
	}
}

// Usage returns the numbers of billed document reads, writes and deletes so
// far.
func (e *Engine) Usage() (reads, writes, deletes int64) {
	return e.total.Counts()
}
