// Package engine is a Firestore database (Native mode, Standard edition) in
// memory: documents in versions, indexes, queries, transactions and listeners.
//
// It speaks in the messages of google.firestore.v1 and answers errors as gRPC
// statuses, because their codes and texts are part of what Firestore promises;
// it knows nothing of servers and streams.
//
// Documents are kept encoded and in versions, so that a read at a time needs no
// lock but while it looks at an index, and reading and writing do not wait for
// each other. An index is made when a query first needs it and kept up to date
// from then on: it holds exactly the fields the query filters and orders by, in
// its order, so every query without OR reads one range of one index.
package engine

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"
)

// Options tune an Engine. The zero value is ready to use.
type Options struct {
	Now         func() time.Time // nil: time.Now
	LockTimeout time.Duration    // how long a write waits for the locks of transactions; 0: 5 s
	IdleLease   time.Duration    // a transaction unused for longer loses its locks; 0: the service's 60 s
	TotalLease  time.Duration    // a transaction older than this loses its locks; 0: the service's 270 s
	History     time.Duration    // how far back a read time may reach; 0: the service's hour
	Superseded  int64            // bytes of old versions kept at most, the oldest are given up first; 0: 256 MiB
	LookFirst   int              // documents a query in the order of names looks at before an index is made for it; 0: 4,096, negative: none
	Indexes     *Indexes         // nil: no query is refused for want of an index
}

// An Engine holds databases, each made at its first use. It is safe for
// concurrent use.
type Engine struct {
	opt Options

	mu        sync.Mutex
	databases map[string]*Database

	reads, writes, deletes atomic.Int64
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

// Database returns the database that a name of a database, document or
// collection's parent begins with ("projects/P/databases/D…").
func (e *Engine) Database(name string) (*Database, error) {
	if db, _, ok := splitName(name); ok {
		name = db
	} else if !isDatabase(name) {
		return nil, invalid("Invalid database name: %.200q", name)
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

// Clear forgets one database ("projects/P/databases/D"), or all when name is "".
// Its listeners see every document deleted.
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
		d.clear()
	}
}

// Usage returns the billed reads, writes and deletes of documents so far.
func (e *Engine) Usage() (reads, writes, deletes int64) {
	return e.reads.Load(), e.writes.Load(), e.deletes.Load()
}
