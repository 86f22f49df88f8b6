package engine

import (
	"bytes"
	"context"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxBatch is the largest number of writes in a BatchWrite.
const maxBatch = 500

// lockPollInterval is how often a write that waits for locks checks whether a
// lease has expired in the meantime.
const lockPollInterval = 100 * time.Millisecond

// A Commit is the result of a commit: one write result per write, in the order
// of the request, and the commit time.
type Commit struct {
	Results []*pb.WriteResult
	at      instant
}

// Time returns the commit time.
func (c *Commit) Time() *timestamppb.Timestamp { return toTimestamp(c.at) }

// Commit applies all writes or none and ends the transaction. transaction is
// nil outside of a transaction. A written document is billed as a write, a
// deleted document as a delete. The errors are gRPC statuses; Aborted means
// contention.
func (db *Database) Commit(ctx context.Context, transaction []byte, ws []*pb.Write) (*Commit, error) {
	writes, err := db.checkWrites(ws)
	db.mu.Lock()
	defer db.mu.Unlock()
	var t *tx
	if len(transaction) > 0 {
		var e error
		if t, e = db.findTx(transaction); e != nil {
			return nil, e
		}
		defer db.locks.endTx(t)
	}

	switch {
	case err != nil:
		return nil, err
	case t != nil && t.readOnly && len(writes) > 0:
		return nil, invalidArgument("Cannot modify entities in a read-only transaction.")
	}

	return db.commitLocked(ctx, t, writes)
}

// commitLocked evaluates the writes and waits for locks. It evaluates them again
// after each wait, because waiting releases the lock and the documents may have
// changed. db.mu must be held.
func (db *Database) commitLocked(ctx context.Context, t *tx, writes []write) (*Commit, error) {
	deadline := time.Now().Add(db.engine.opt.LockTimeout)
	db.locks.born++
	age := db.locks.born // outside of a transaction, a write takes its age from its request
	if t != nil {
		age = t.age
	}

	w := &waiter{age: age, tx: t}
	defer db.stopWaiting(w)
	for {
		at := db.nextCommitTime()
		ps, results, err := db.evaluateWrites(writes, at)
		if err != nil {
			return nil, err
		}
		if t != nil && db.readsOutdated(t) {
			return nil, db.abortTx(t)
		}
		if !db.blockedByLocks(t, age, ps) {
			db.storeChanges(ps, at)
			db.countWrites(ctx, writes)
			return &Commit{results, at}, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, db.abortTx(t)
		}
		w.changes = ps
		db.locks.waiting[w] = true
		db.waitForLocks(deadline)
		if t != nil && t.over {
			return nil, errContention
		}
	}
}

// stopWaiting lets the reads go on that wait for a commit. db.mu must be held.
func (db *Database) stopWaiting(w *waiter) {
	if db.locks.waiting[w] {
		delete(db.locks.waiting, w)
		db.locks.free.Broadcast()
	}
}

// abortTx ends the transaction of a commit that failed because of contention. A retry of
// the transaction keeps its age. t is nil outside of a transaction. db.mu must be held.
func (db *Database) abortTx(t *tx) error {
	if t != nil {
		db.locks.woundTx(t, db.engine.opt.Now())
	}
	return errContention
}

// waitForLocks releases db.mu until a transaction ends or a lease may have
// expired, and takes it again. The timer wakes the condition variable, because
// a lease expires without a signal.
func (db *Database) waitForLocks(deadline time.Time) {
	wake := time.AfterFunc(min(lockPollInterval, time.Until(deadline)), db.locks.free.Broadcast)
	db.locks.free.Wait()
	wake.Stop()
	db.endExpired()
}

// A pending change is one document before and after the writes of a commit.
type pending struct {
	path          string
	before, after *version
}

// evaluateWrites computes the effect of writes on the current documents. It stores
// nothing. db.mu must be held.
func (db *Database) evaluateWrites(writes []write, at instant) ([]*pending, []*pb.WriteResult, error) {
	ps := make([]*pending, 0, len(writes))
	byPath := make(map[string]*pending, len(writes))
	results := make([]*pb.WriteResult, len(writes))
	for i, w := range writes {
		p := byPath[w.path]
		if p == nil {
			p = &pending{path: w.path}
			if d := db.documents.get(w.path); d != nil {
				p.before = d.last
			}
			p.after = p.before
			byPath[w.path] = p
			ps = append(ps, p)
		}
		var err error
		if p.after, results[i], err = db.applyWrite(w, p.after, at); err != nil {
			return nil, nil, err
		}
	}

	return dropUnchanged(ps), results, nil
}

// dropUnchanged removes the documents whose state before and after the commit
// is the same.
func dropUnchanged(ps []*pending) []*pending {
	out := ps[:0]
	for _, p := range ps {
		a, b := p.before, p.after
		switch {
		case a == b, !a.exists() && !b.exists():
		case a.exists() && b.exists() && a.created == b.created && bytes.Equal(a.body, b.body):
		default:
			out = append(out, p)
		}
	}
	return out
}

// storeChanges stores the new versions and wakes the listeners. db.mu must be held.
func (db *Database) storeChanges(ps []*pending, at instant) {
	if len(ps) == 0 {
		return
	}
	for _, p := range ps {
		p.after.prev = nil
		db.storeVersion(p.path, p.after)
	}
	db.committed = at
	db.engine.changes.Add(1)
	db.pruneHistory()
	db.wakeListeners()
}

// countWrites bills each document of a commit once, by the last write to it.
func (db *Database) countWrites(ctx context.Context, writes []write) {
	deleted := make(map[string]bool, len(writes))
	for _, w := range writes {
		deleted[w.path] = w.deletes
	}

	var d int64
	for _, is := range deleted {
		if is {
			d++
		}
	}

	db.engine.bill(ctx, 0, int64(len(deleted))-d, d)
}

// Batch commits each write on its own. For each write it returns the result, or
// the status that says why the write failed. The error is for a batch that is
// invalid as a whole.
func (db *Database) Batch(ctx context.Context, ws []*pb.Write) ([]*pb.WriteResult, []*status.Status, error) {
	if len(ws) > maxBatch {
		return nil, nil, invalidArgument("cannot write more than %d entities in a single call", maxBatch)
	}
	seen := make(map[string]bool, len(ws))
	for _, w := range ws {
		if name := writtenName(w); seen[name] {
			return nil, nil, invalidArgument("Document %.200q is written more than once.", name)
		}
		seen[writtenName(w)] = true
	}

	results, errs := make([]*pb.WriteResult, len(ws)), make([]*status.Status, len(ws))
	for i, w := range ws {
		c, err := db.Commit(ctx, nil, []*pb.Write{w})
		errs[i] = status.Convert(err)
		if results[i] = (&pb.WriteResult{}); err == nil {
			results[i] = c.Results[0]
		}
	}

	return results, errs, nil
}

// WriteOne commits one write and returns the document after the commit.
func (db *Database) WriteOne(ctx context.Context, w *pb.Write, m *pb.DocumentMask) (*Document, error) {
	mask, err := parseMask(m)
	if err != nil {
		return nil, err
	}

	ws, err := db.checkWrites([]*pb.Write{w})
	if err != nil {
		return nil, err
	}

	db.mu.Lock()
	defer db.mu.Unlock()
	c, err := db.commitLocked(ctx, nil, ws)
	if err != nil {
		return nil, err
	}

	path := ws[0].path
	return &Document{Path: path, prefix: db.documentsPrefix(), v: db.documents.get(path).versionAt(c.at), mask: mask, masked: m != nil}, nil
}
