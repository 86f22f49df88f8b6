package engine

import (
	"bytes"
	"context"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxBatch is how many writes a BatchWrite takes.
const maxBatch = 500

// patience is how often a write that waits for locks looks whether a lease has
// run out meanwhile.
const patience = 100 * time.Millisecond

// A Commit is what a commit answers.
type Commit struct {
	Results []*pb.WriteResult
	at      instant
}

// Time is the commit time.
func (c *Commit) Time() *timestamppb.Timestamp { return timestamp(c.at) }

// Commit carries writes out, all or none, and ends the transaction (nil outside
// of one). A document written is billed as a write, one deleted as a delete.
func (db *Database) Commit(ctx context.Context, transaction []byte, ws []*pb.Write) (*Commit, error) {
	writes, err := db.prepare(ws)
	db.mu.Lock()
	defer db.mu.Unlock()
	var t *tx
	if len(transaction) > 0 {
		var e error
		if t, e = db.find(transaction); e != nil {
			return nil, e
		}
		defer db.locks.end(t)
	}

	switch {
	case err != nil:
		return nil, err
	case t != nil && t.readOnly && len(writes) > 0:
		return nil, invalid("Cannot modify entities in a read-only transaction.")
	}

	return db.commit(ctx, t, writes)
}

// commit evaluates the writes, waits for locks and, because the documents may
// have changed while it waited, evaluates them again.
func (db *Database) commit(ctx context.Context, t *tx, writes []write) (*Commit, error) {
	deadline := time.Now().Add(db.engine.opt.LockTimeout)
	db.locks.born++
	age := db.locks.born // outside a transaction a write is as old as its request
	if t != nil {
		age = t.age
	}

	for {
		at := db.tick()
		ps, results, err := db.evaluate(writes, at)
		if err != nil {
			return nil, err
		}
		if t != nil && db.outdated(t) {
			return nil, db.abort(t)
		}
		if !db.blocked(t, age, ps) {
			db.store(ps, at)
			db.bill(writes)
			return &Commit{results, at}, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, db.abort(t)
		}
		db.wait(deadline)
		if t != nil && t.over {
			return nil, errContention
		}
	}
}

// abort gives a commit up to contention; a retry of its transaction keeps its age.
func (db *Database) abort(t *tx) error {
	if t != nil {
		db.locks.wound(t, db.engine.opt.Now())
	}
	return errContention
}

// wait lets go of the lock until a transaction ends or a lease may have run out.
func (db *Database) wait(deadline time.Time) {
	wake := time.AfterFunc(min(patience, time.Until(deadline)), db.locks.free.Broadcast)
	db.locks.free.Wait()
	wake.Stop()
	db.sweep()
}

// A pending change is a document as writes of one commit leave it.
type pending struct {
	path          string
	before, after *version
}

// evaluate works out what writes do to the current documents.
func (db *Database) evaluate(writes []write, at instant) ([]*pending, []*pb.WriteResult, error) {
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
		if p.after, results[i], err = db.apply(w, p.after, at); err != nil {
			return nil, nil, err
		}
	}

	return changed(ps), results, nil
}

// changed leaves out the documents that end as they were.
func changed(ps []*pending) []*pending {
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

func (db *Database) store(ps []*pending, at instant) {
	if len(ps) == 0 {
		return
	}
	for _, p := range ps {
		p.after.prev = nil
		db.put(p.path, p.after)
	}
	db.committed = at
	db.prune()
	db.announce()
}

// bill counts each document of a commit once, by what was done to it last.
func (db *Database) bill(writes []write) {
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
	db.engine.deletes.Add(d)
	db.engine.writes.Add(int64(len(deleted)) - d)
}

// Batch carries writes out one by one and answers each for itself: a result,
// or the error that kept the write from being made.
func (db *Database) Batch(ctx context.Context, ws []*pb.Write) ([]*pb.WriteResult, []*status.Status, error) {
	if len(ws) > maxBatch {
		return nil, nil, invalid("cannot write more than %d entities in a single call", maxBatch)
	}
	seen := make(map[string]bool, len(ws))
	for _, w := range ws {
		if name := writtenName(w); seen[name] {
			return nil, nil, invalid("Document %.200q is written more than once.", name)
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

// WriteOne commits one write and returns the document as the commit left it.
func (db *Database) WriteOne(ctx context.Context, w *pb.Write, m *pb.DocumentMask) (*Document, error) {
	mask, err := parseMask(m)
	if err != nil {
		return nil, err
	}

	ws, err := db.prepare([]*pb.Write{w})
	if err != nil {
		return nil, err
	}

	db.mu.Lock()
	defer db.mu.Unlock()
	c, err := db.commit(ctx, nil, ws)
	if err != nil {
		return nil, err
	}

	path := ws[0].path
	return &Document{Path: path, prefix: db.prefix(), v: db.documents.get(path).version(c.at), mask: mask, masked: m != nil}, nil
}
