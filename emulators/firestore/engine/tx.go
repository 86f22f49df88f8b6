package engine

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	errContention = status.Error(codes.Aborted, "Too much contention on these documents. Please try again.")
	// SDKs recognize a lost transaction by this text.
	errExpired = status.Error(codes.InvalidArgument, "The referenced transaction has expired or is no longer valid.")
)

func contextError(ctx context.Context) error { return status.FromContextError(ctx.Err()).Err() }

// A tx is a transaction. A pessimistic transaction holds shared locks on the
// documents and queries that it has read, until it ends. An optimistic
// transaction reads at the time of its first read and is checked when it
// commits.
type tx struct {
	id         string
	age        int64 // a retry keeps the age of its first attempt
	readOnly   bool
	optimistic bool
	at         instant // the read time, when it does not read the present
	docs       map[string]bool
	queries    []*Query
	begun      time.Time
	used       time.Time // the last request
	over       bool      // committed, rolled back, aborted or expired
}

// locks holds the active transactions and their locks. Database.mu guards it.
type locks struct {
	free    *sync.Cond // signalled when a transaction ends
	born    int64      // the age of the last transaction or write that began
	active  map[string]*tx
	holders map[string]map[*tx]bool // of documents
	watched map[*tx]bool            // transactions that hold queries
	waiting map[*waiter]bool        // commits that wait for locks
	lost    map[string]loss         // transactions that were aborted recently
}

// A loss is the record of an aborted transaction. A retry takes its age.
type loss struct {
	age int64
	at  time.Time
}

func newLocks(mu sync.Locker) locks {
	l := locks{free: sync.NewCond(mu)}
	l.reset()
	return l
}

func (l *locks) reset() {
	for _, t := range l.active {
		t.over = true
	}
	l.active, l.holders = map[string]*tx{}, map[string]map[*tx]bool{}
	l.watched, l.lost = map[*tx]bool{}, map[string]loss{}
	if l.waiting == nil { // those that wait now remove themselves
		l.waiting = map[*waiter]bool{}
	}
	l.free.Broadcast()
}

func (l *locks) holdDocument(t *tx, path string) {
	t.docs[path] = true
	if t.optimistic {
		return
	}
	if l.holders[path] == nil {
		l.holders[path] = map[*tx]bool{}
	}
	l.holders[path][t] = true
}

func (l *locks) holdQuery(t *tx, q *Query) {
	t.queries = append(t.queries, q)
	if !t.optimistic {
		l.watched[t] = true
	}
}

// endTx removes a transaction and releases its locks.
func (l *locks) endTx(t *tx) {
	if t.over {
		return
	}

	t.over = true
	delete(l.active, t.id)
	delete(l.watched, t)
	for path := range t.docs {
		if delete(l.holders[path], t); len(l.holders[path]) == 0 {
			delete(l.holders, path)
		}
	}

	l.free.Broadcast()
}

// woundTx aborts a transaction, so that an older one can continue (wound-wait), and
// records its age for a retry.
func (l *locks) woundTx(t *tx, now time.Time) {
	l.lost[t.id] = loss{t.age, now}
	l.endTx(t)
}

// endExpired ends the transactions whose lease has expired. db.mu must be held.
func (db *Database) endExpired() {
	now, o := db.engine.opt.Now(), db.engine.opt
	for _, t := range db.locks.active {
		if now.Sub(t.used) > o.IdleLease || now.Sub(t.begun) > o.TotalLease {
			db.locks.endTx(t)
		}
	}
	maps.DeleteFunc(db.locks.lost, func(_ string, x loss) bool { return now.Sub(x.at) > o.TotalLease })
}

// Begin starts a transaction and returns its id. Without options the transaction is
// read-write, in the concurrency mode of the database.
func (db *Database) Begin(o *pb.TransactionOptions) ([]byte, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	t, err := db.beginLocked(o)
	if err != nil {
		return nil, err
	}
	return []byte(t.id), nil
}

// beginLocked starts a transaction with the options of a request.
func (db *Database) beginLocked(o *pb.TransactionOptions) (*tx, error) {
	db.endExpired()
	now := db.engine.opt.Now()
	db.locks.born++
	t := &tx{id: rand.Text(), age: db.locks.born, optimistic: db.optimistic, docs: map[string]bool{}, begun: now, used: now}
	switch m := o.GetMode().(type) {
	case *pb.TransactionOptions_ReadOnly_:
		t.readOnly, t.optimistic = true, false
		t.at = db.latestReadTime()
		if rt := m.ReadOnly.GetReadTime(); rt != nil {
			var err error
			if t.at, err = db.readTime(rt); err != nil {
				return nil, err
			}
		}
	case *pb.TransactionOptions_ReadWrite_:
		switch m.ReadWrite.GetConcurrencyMode() {
		case pb.TransactionOptions_OPTIMISTIC:
			t.optimistic = true
		case pb.TransactionOptions_PESSIMISTIC:
			t.optimistic = false
		}
		db.inheritAge(t, string(m.ReadWrite.GetRetryTransaction()))
	}

	db.locks.active[t.id] = t
	return t, nil
}

// inheritAge gives a transaction the age of the transaction that it repeats. db.mu must
// be held.
func (db *Database) inheritAge(t *tx, id string) {
	if old := db.locks.active[id]; old != nil {
		t.age = old.age
		db.locks.endTx(old)
	} else if x, ok := db.locks.lost[id]; ok {
		t.age = x.age
	}
}

// Rollback ends a transaction without writing. It does nothing when the
// transaction has already ended.
func (db *Database) Rollback(id []byte) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if t := db.locks.active[string(id)]; t != nil {
		db.locks.endTx(t)
	}
}

// findTx returns the transaction of a request and renews its idle lease. db.mu must be
// held.
func (db *Database) findTx(id []byte) (*tx, error) {
	db.endExpired()
	t := db.locks.active[string(id)]
	if t == nil {
		if _, wounded := db.locks.lost[string(id)]; wounded {
			return nil, errContention
		}
		return nil, errExpired
	}
	t.used = db.engine.opt.Now()
	return t, nil
}

// blockedByLocks reports whether a pessimistic transaction other than self has read data
// that the commit would change. self is nil outside a transaction. A commit takes the
// locks of younger transactions and waits for older ones. So two commits never wait for
// each other, and each wait ends. db.mu must be held.
func (db *Database) blockedByLocks(self *tx, age int64, ps []*pending) bool {
	wait := false
	for t := range db.inTheWay(self, ps) {
		if age < t.age {
			db.locks.woundTx(t, db.engine.opt.Now())
		} else {
			wait = true
		}
	}
	return wait
}

// inTheWay returns the other pessimistic transactions that have read data that the
// changes alter. db.mu must be held.
func (db *Database) inTheWay(self *tx, ps []*pending) map[*tx]bool {
	out := map[*tx]bool{}
	for _, p := range ps {
		for t := range db.locks.holders[p.path] {
			out[t] = true
		}
		for t := range db.locks.watched {
			if !out[t] && t.watchesChange(p.path, p.before, p.after) {
				out[t] = true
			}
		}
	}

	delete(out, self)
	return out
}

// watchesChange reports whether a change alters the result of a query that t has
// run.
func (t *tx) watchesChange(path string, before, after *version) bool {
	return slices.ContainsFunc(t.queries, func(q *Query) bool { return q.isChangedBy(path, before, after) })
}

// readsOutdated reports whether the data that an optimistic transaction has read has
// changed since. db.mu must be held.
func (db *Database) readsOutdated(t *tx) bool {
	if !t.optimistic || t.at == 0 {
		return false
	}
	changes, ok := db.history.changesSince(t.at)
	return !ok || slices.ContainsFunc(changes, func(c change) bool {
		return t.docs[c.doc.path] || t.watchesChange(c.doc.path, c.after.prev, c.after)
	})
}
