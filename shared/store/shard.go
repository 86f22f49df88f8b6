package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// shardDoc is mailings/{id}/shards/{k}.
type shardDoc struct {
	From     string     `firestore:"from"`
	After    string     `firestore:"after"`
	Upto     string     `firestore:"upto"`
	Batches  int        `firestore:"batches"`
	Done     bool       `firestore:"done"`
	Busy     *time.Time `firestore:"busy"`
	NextSlot *time.Time `firestore:"nextSlot"`

	Targeted     int64 `firestore:"targeted"`
	NoValidToken int64 `firestore:"noValidToken"`
	OptedOut     int64 `firestore:"optedOut"`
	Category     int64 `firestore:"category"`
	Unknown      int64 `firestore:"unknown"`
	Muted        int64 `firestore:"muted"`

	ExpireAt time.Time `firestore:"expireAt"`
}

func (s *Store) shard(mailing string, k int) *firestore.DocumentRef {
	return s.mailing(mailing).Collection("shards").Doc(strconv.Itoa(k))
}

func encodeShard(sh *push.Shard) *shardDoc {
	return &shardDoc{
		From: sh.From, After: sh.After, Upto: sh.Upto, Batches: sh.Batches, Done: sh.Done,
		Busy: stamp(sh.Busy), NextSlot: stamp(sh.NextSlot),
		Targeted: sh.Targeted, NoValidToken: sh.Excluded.NoValidToken, OptedOut: sh.Excluded.OptedOut,
		Category: sh.Excluded.Category, Unknown: sh.Excluded.Unknown, Muted: sh.Excluded.Muted, ExpireAt: sh.Forget,
	}
}

// Shard reads how far a shard of a mailing has come.
func (s *Store) Shard(ctx context.Context, mailing string, k int) (*push.Shard, error) {
	snap, err := s.shard(mailing, k).Get(ctx)
	if missing(err) {
		return nil, &push.NotFound{What: "shard of mailing " + mailing, ID: strconv.Itoa(k)}
	}
	if err != nil {
		return nil, classify(err, "reading shard %d of mailing %s", k, mailing)
	}
	var d shardDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, classify(err, "decoding shard %d of mailing %s", k, mailing)
	}
	return &push.Shard{
		Mailing: mailing, Number: k, From: d.From, After: d.After, Upto: d.Upto, Batches: d.Batches, Done: d.Done,
		Busy: unstamp(d.Busy), NextSlot: unstamp(d.NextSlot), Revision: snap.UpdateTime, Forget: d.ExpireAt,
		Audited: push.Audited{Targeted: d.Targeted, Excluded: push.Excluded{
			NoValidToken: d.NoValidToken, OptedOut: d.OptedOut, Category: d.Category, Unknown: d.Unknown, Muted: d.Muted}},
	}, nil
}

// Cut is the outbox: one commit creates the batches and moves the shard's
// cursor. It fails with ErrStale when another dispatch has moved the cursor
// since sh was read; nothing is written then.
func (s *Store) Cut(ctx context.Context, sh *push.Shard, batches []*push.Batch) error {
	docs := make([]*batchDoc, len(batches))
	for i, b := range batches {
		var err error
		if docs[i], err = encodeBatch(b, sh.Forget); err != nil {
			return err
		}
	}
	var done firestore.CommitResponse
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		for i, b := range batches {
			if err := tx.Create(s.batch(b.Ref), docs[i]); err != nil {
				return err
			}
		}
		return tx.Update(s.shard(sh.Mailing, sh.Number), shardUpdates(sh), firestore.LastUpdateTime(sh.Revision))
	}, firestore.WithCommitResponseTo(&done))
	if err == nil {
		sh.Revision = done.CommitTime()
		return nil
	}
	return classify(s.unlessStored(ctx, sh, err), "cutting shard %d of mailing %s", sh.Number, sh.Mailing)
}

// unlessStored is err, or nil when the shard stands as it was to be written:
// then the write was stored, its answer lost, and the client's second try
// failed on the first one's effect. Busy tells this call from every other.
func (s *Store) unlessStored(ctx context.Context, sh *push.Shard, err error) error {
	if !stale(err) {
		return err
	}
	now, rerr := s.Shard(ctx, sh.Mailing, sh.Number)
	if rerr != nil || sh.Busy.IsZero() || !now.Busy.Equal(sh.Busy.Truncate(time.Microsecond)) ||
		now.After != sh.After || now.Batches != sh.Batches || now.Done != sh.Done {
		return err
	}
	sh.Revision = now.Revision
	return nil
}

func shardUpdates(sh *push.Shard) []firestore.Update {
	return []firestore.Update{
		{Path: "after", Value: sh.After}, {Path: "batches", Value: sh.Batches}, {Path: "done", Value: sh.Done},
		{Path: "busy", Value: stamp(sh.Busy)}, {Path: "nextSlot", Value: stamp(sh.NextSlot)},
		{Path: "targeted", Value: sh.Targeted}, {Path: "noValidToken", Value: sh.Excluded.NoValidToken},
		{Path: "optedOut", Value: sh.Excluded.OptedOut}, {Path: "category", Value: sh.Excluded.Category},
		{Path: "unknown", Value: sh.Excluded.Unknown}, {Path: "muted", Value: sh.Excluded.Muted},
	}
}

// Take gives a shard to one dispatch call until then; zero gives it back.
// ErrStale: another call has taken it since it was read.
func (s *Store) Take(ctx context.Context, sh *push.Shard, until time.Time) error {
	res, err := s.shard(sh.Mailing, sh.Number).Update(ctx, []firestore.Update{{Path: "busy", Value: stamp(until)}},
		firestore.LastUpdateTime(sh.Revision))
	if err == nil {
		sh.Busy, sh.Revision = until, res.UpdateTime
		return nil
	}
	taken := *sh
	taken.Busy = until
	if err := s.unlessStored(ctx, &taken, err); err != nil {
		return classify(err, "taking shard %d of mailing %s", sh.Number, sh.Mailing)
	}
	*sh = taken
	return nil
}

// OpenShard is a shard still to be cut.
type OpenShard struct {
	Number int
	Busy   time.Time // until then a dispatch call has it
}

// OpenShards lists the shards still to be cut.
func (s *Store) OpenShards(ctx context.Context, mailing string) ([]OpenShard, error) {
	q := s.mailing(mailing).Collection("shards").Where("done", "==", false).Select("busy")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classify(err, "listing open shards of mailing %s", mailing)
	}
	var out []OpenShard
	for _, snap := range snaps {
		var d shardDoc
		k, err := strconv.Atoi(snap.Ref.ID)
		if err == nil {
			err = snap.DataTo(&d)
		}
		if err != nil {
			return nil, fmt.Errorf("decoding shard %s: %w", snap.Ref.Path, err)
		}
		out = append(out, OpenShard{k, unstamp(d.Busy)})
	}
	return out, nil
}

// endShards stops the cutting of a mailing that has ended: a dispatch under way
// finds its shard changed and stops.
func (s *Store) endShards(ctx context.Context, mailing string) error {
	open, err := s.OpenShards(ctx, mailing)
	if err != nil {
		return err
	}
	for _, sh := range open {
		if _, err := s.shard(mailing, sh.Number).Update(ctx, []firestore.Update{{Path: "done", Value: true}}); err != nil {
			return classify(err, "ending shard %d of mailing %s", sh.Number, mailing)
		}
	}
	return nil
}
