package engine

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// A Listener follows queries and documents of a database. It returns the
// messages that a client needs to keep its own copy of their results. It is not
// safe for concurrent use.
type Listener struct {
	db      *Database
	targets map[int32]*target
	nextID  int32
	at      instant // the time of the results of all targets
	changed <-chan struct{}
}

// A target is a query or a list of documents, and the results that the client
// has.
type target struct {
	id    int32
	query *Query
	paths []string
	sent  map[string]*version // by path
}

// Listen returns a listener without targets, at the latest commit.
func (db *Database) Listen() *Listener {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return &Listener{db: db, targets: map[int32]*target{}, nextID: 1, at: db.committed, changed: db.changed}
}

// Changed returns a channel that is closed at the next commit. Call Update
// then.
func (l *Listener) Changed() <-chan struct{} { return l.changed }

// Remove stops following a target and returns the message that confirms it.
func (l *Listener) Remove(id int32) []*pb.ListenResponse {
	delete(l.targets, id)
	return []*pb.ListenResponse{targetChange(pb.TargetChange_REMOVE, 0, id)}
}

// Add follows another target and returns its results. For a resume token within
// the history, it returns only the changes since then. For an older token, it
// resets the target first.
func (l *Listener) Add(ctx context.Context, p *pb.Target) ([]*pb.ListenResponse, error) {
	t, err := l.newTarget(p)
	if err != nil {
		return nil, err
	}
	if t.query != nil {
		if err := l.db.engine.opt.IndexRules.checkQuery(t.query, nil); err != nil {
			return nil, err
		}
	}

	out, err := l.Update(ctx) // so that all targets have the same time
	if err != nil {
		return nil, err
	}

	out = append(out, targetChange(pb.TargetChange_ADD, 0, t.id))
	since, resumed, reset := l.resumeFrom(p)
	if resumed {
		if t.sent, err = l.targetResults(ctx, t, since); err != nil {
			return nil, err
		}
	}
	if reset {
		out = append(out, targetChange(pb.TargetChange_RESET, 0, t.id))
	}

	now, err := l.targetResults(ctx, t, l.at)
	if err != nil {
		return nil, err
	}
	if len(now) == 0 && !resumed {
		l.db.engine.bill(ctx, 1, 0, 0)
	}

	l.targets[t.id] = t
	out = append(out, l.diffMessages(ctx, t, now)...)
	out = append(out, targetChange(pb.TargetChange_CURRENT, l.at, t.id), targetChange(pb.TargetChange_NO_CHANGE, l.at))
	if p.GetOnce() {
		out = append(out, l.Remove(t.id)...)
	}

	return out, nil
}

func (l *Listener) newTarget(p *pb.Target) (*target, error) {
	t := &target{id: p.GetTargetId(), sent: map[string]*version{}}
	if t.id == 0 {
		for l.targets[l.nextID] != nil {
			l.nextID++
		}
		t.id = l.nextID
		l.nextID++
	}
	if t.id < 0 || l.targets[t.id] != nil {
		return nil, invalidArgument("Target id %d is in use or negative.", t.id)
	}

	var err error
	switch x := p.GetTargetType().(type) {
	case *pb.Target_Query:
		if t.query, err = NewQuery(x.Query.GetParent(), x.Query.GetStructuredQuery()); err != nil {
			return nil, err
		}
		if t.query.prefix != l.db.documentsPrefix() {
			return nil, invalidArgument("The query is on another database than the stream.")
		}
		if t.query.isKindless() {
			return nil, invalidArgument("A query without a collection id cannot be listened to.")
		}
		if t.query.nearest != nil {
			return nil, invalidArgument("A vector search cannot be listened to.")
		}
	case *pb.Target_Documents:
		t.paths, err = l.db.checkPaths(x.Documents.GetDocuments())
	default:
		err = invalidArgument("Target has no type.")
	}

	return t, err
}

// resumeFrom returns the time up to which the client already has the results of
// the target.
func (l *Listener) resumeFrom(p *pb.Target) (since instant, resumed, reset bool) {
	switch x := p.GetResumeType().(type) {
	case *pb.Target_ResumeToken:
		if len(x.ResumeToken) == 0 {
			return 0, false, false
		}
		if len(x.ResumeToken) != 8 {
			return 0, false, true
		}
		since = instant(binary.BigEndian.Uint64(x.ResumeToken))
	case *pb.Target_ReadTime:
		since = toInstant(x.ReadTime)
	default:
		return 0, false, false
	}

	l.db.mu.RLock()
	defer l.db.mu.RUnlock()
	known := since >= l.db.history.lost && since <= l.at && since >= l.at-l.db.engine.opt.History.Microseconds()
	return since, known, !known
}

// targetResults returns the documents of a target at a time, by path.
func (l *Listener) targetResults(ctx context.Context, t *target, at instant) (map[string]*version, error) {
	out := map[string]*version{}
	if t.query != nil {
		err := l.db.eachResult(ctx, t.query, at, func(w row, skipped bool) bool {
			if !skipped {
				out[w.doc.path] = w.v
			}
			return true
		})
		return out, err
	}

	l.db.mu.RLock()
	defer l.db.mu.RUnlock()
	for _, p := range t.paths {
		if v := l.db.documents.get(p).versionAt(at); v != nil {
			out[p] = v
		}
	}

	return out, nil
}

// Update returns the changes of all targets up to one point in time, or
// nothing.
func (l *Listener) Update(ctx context.Context) ([]*pb.ListenResponse, error) {
	l.db.mu.Lock()
	at := l.db.latestReadTime()
	l.changed = l.db.changed
	changes, known := l.db.history.changesSince(l.at)
	changes = slices.Clone(changes)
	l.db.mu.Unlock()
	var out []*pb.ListenResponse
	l.at = at
	for _, id := range slices.Sorted(maps.Keys(l.targets)) {
		t := l.targets[id]
		if known && !t.isAffectedBy(changes) {
			continue
		}
		now, err := l.targetResults(ctx, t, at)
		if err != nil {
			return nil, err
		}
		out = append(out, l.diffMessages(ctx, t, now)...)
	}
	if len(out) > 0 {
		out = append(out, targetChange(pb.TargetChange_NO_CHANGE, at))
	}

	return out, nil
}

// isAffectedBy reports whether changes may alter the results of a target.
func (t *target) isAffectedBy(changes []change) bool {
	return slices.ContainsFunc(changes, func(c change) bool {
		if t.query == nil {
			return slices.Contains(t.paths, c.doc.path)
		}
		if !t.query.coversPath(c.doc.path) {
			return false
		}
		_, had := t.sent[c.doc.path]
		return had || t.query.matchesDocument(c.doc.path, c.after)
	})
}

// diffMessages returns the messages that turn the results that the client has
// into now. A sent document is billed as a read, and so is a document that left
// the results because it changed.
func (l *Listener) diffMessages(ctx context.Context, t *target, now map[string]*version) []*pb.ListenResponse {
	var out []*pb.ListenResponse
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if v := now[path]; t.sent[path] != v {
			out = append(out, l.changedDocument(t, path, v))
		}
	}

	sent := len(out)
	for _, path := range slices.Sorted(maps.Keys(t.sent)) {
		if now[path] == nil {
			m, deleted := l.leftDocument(t, path)
			if out = append(out, m); !deleted {
				sent++
			}
		}
	}

	l.db.engine.bill(ctx, int64(sent), 0, 0)
	t.sent = now
	return out
}

func (l *Listener) changedDocument(t *target, path string, v *version) *pb.ListenResponse {
	d := &Document{Path: path, prefix: l.db.documentsPrefix(), v: v}
	if t.query != nil {
		d = d.withMask(t.query.mask, t.query.masked)
	}
	return &pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentChange{
		DocumentChange: &pb.DocumentChange{Document: d.Proto(), TargetIds: []int32{t.id}},
	}}
}

func (l *Listener) leftDocument(t *target, path string) (m *pb.ListenResponse, deleted bool) {
	name := l.db.documentsPrefix() + path

	l.db.mu.RLock()
	there := l.db.documents.get(path).versionAt(l.at) != nil
	l.db.mu.RUnlock()

	if there {
		return &pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentRemove{
			DocumentRemove: &pb.DocumentRemove{Document: name, RemovedTargetIds: []int32{t.id}, ReadTime: toTimestamp(l.at)},
		}}, false
	}
	return &pb.ListenResponse{ResponseType: &pb.ListenResponse_DocumentDelete{
		DocumentDelete: &pb.DocumentDelete{Document: name, RemovedTargetIds: []int32{t.id}, ReadTime: toTimestamp(l.at)},
	}}, true
}

func targetChange(kind pb.TargetChange_TargetChangeType, at instant, ids ...int32) *pb.ListenResponse {
	tc := &pb.TargetChange{TargetChangeType: kind, TargetIds: ids}
	if at != 0 {
		tc.ReadTime, tc.ResumeToken = toTimestamp(at), binary.BigEndian.AppendUint64(nil, uint64(at))
	}
	return &pb.ListenResponse{ResponseType: &pb.ListenResponse_TargetChange{TargetChange: tc}}
}
