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
	From       string     `firestore:"from"`
	After      string     `firestore:"after"`
	Upto       string     `firestore:"upto"`
	Batches    int        `firestore:"batches"`
	Done       bool       `firestore:"done"`
	EndedEarly bool       `firestore:"endedEarly,omitempty"` // done before it reached Upto, because the mailing ended
	LeaseUntil *time.Time `firestore:"leaseUntil"`
	NextSlot   *time.Time `firestore:"nextSlot"`

	ContinueAt  *time.Time `firestore:"continueAt"`
	PublishedAt *time.Time `firestore:"publishedAt"`

	Targeted     int64 `firestore:"targeted"`
	NoValidToken int64 `firestore:"noValidToken"`
	OptedOut     int64 `firestore:"optedOut"`
	Category     int64 `firestore:"category"`
	Unknown      int64 `firestore:"unknown"`
	Muted        int64 `firestore:"muted"`
	Filtered     int64 `firestore:"filtered"`
	Control      int64 `firestore:"control"`

	TargetedBy map[string]int64 `firestore:"targetedBy"` // Targeted by variant; every field is written

	ExpireAt time.Time `firestore:"expireAt"`
	Write    string    `firestore:"write,omitempty"` // the writeID of the last change
}

func (s *Store) shardDocument(mailing string, k int) *firestore.DocumentRef {
	return s.mailingDocument(mailing).Collection("shards").Doc(strconv.Itoa(k))
}

// encodeShard returns the document of a new shard.
func encodeShard(sh *push.Shard) *shardDoc {
	return &shardDoc{
		From: sh.From, After: sh.After, Upto: sh.Upto, Batches: sh.Batches, Done: sh.Done,
		LeaseUntil: timeOrNil(sh.LeaseUntil), NextSlot: timeOrNil(sh.NextSlot),
		ContinueAt: timeOrNil(sh.ContinueAt), PublishedAt: timeOrNil(sh.PublishedAt),
		Targeted: sh.Targeted, NoValidToken: sh.Excluded.NoValidToken, OptedOut: sh.Excluded.OptedOut,
		Category: sh.Excluded.Category, Unknown: sh.Excluded.Unknown, Muted: sh.Excluded.Muted,
		Filtered: sh.Excluded.Filtered, Control: sh.Excluded.Control, TargetedBy: encodeByVariant(sh.ByVariant), ExpireAt: sh.ExpireAt,
	}
}

// ReadShard reads a shard of a mailing.
func (s *Store) ReadShard(ctx context.Context, mailing string, k int) (*push.Shard, error) {
	snap, err := s.shardDocument(mailing, k).Get(ctx)
	if isNotFound(err) {
		return nil, &push.NotFound{What: "shard of mailing " + mailing, ID: strconv.Itoa(k)}
	}
	if err != nil {
		return nil, classifyError(err, "reading shard %d of mailing %s", k, mailing)
	}

	var d shardDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, classifyError(err, "decoding shard %d of mailing %s", k, mailing)
	}
	return &push.Shard{
		Mailing: mailing, Number: k, From: d.From, After: d.After, Upto: d.Upto, Batches: d.Batches, Done: d.Done,
		LeaseUntil: timeOrZero(d.LeaseUntil), NextSlot: timeOrZero(d.NextSlot), Revision: snap.UpdateTime, ExpireAt: d.ExpireAt,
		ContinueAt: timeOrZero(d.ContinueAt), PublishedAt: timeOrZero(d.PublishedAt),
		AudienceCounts: push.AudienceCounts{Targeted: d.Targeted, ByVariant: decodeByVariant(d.TargetedBy), Excluded: push.Excluded{
			NoValidToken: d.NoValidToken, OptedOut: d.OptedOut, Category: d.Category, Unknown: d.Unknown, Muted: d.Muted, Filtered: d.Filtered, Control: d.Control}},
	}, nil
}

// CreateBatches creates batches and moves the shard's cursor in one commit, so that no
// customer is in two batches or in none. It returns ErrConflict, and writes nothing, if
// another call has moved the cursor since sh was read.
func (s *Store) CreateBatches(ctx context.Context, sh *push.Shard, batches []*push.Batch) error {
	docs := make([]*batchDoc, len(batches))
	for i, b := range batches {
		var err error
		if docs[i], err = encodeBatch(b, sh.ExpireAt); err != nil {
			return err
		}
	}

	w := newWriteID()
	var done firestore.CommitResponse
	err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		for i, b := range batches {
			if err := tx.Create(s.batchDocument(b.BatchRef), docs[i]); err != nil {
				return err
			}
		}
		return tx.Update(s.shardDocument(sh.Mailing, sh.Number), append(shardUpdates(sh), w.fieldUpdate()), firestore.LastUpdateTime(sh.Revision))
	}, firestore.WithCommitResponseTo(&done))
	if err == nil {
		sh.Revision = done.CommitTime()
		return nil
	}
	if snap := w.readIfStored(ctx, s.shardDocument(sh.Mailing, sh.Number), err); snap != nil {
		sh.Revision = snap.UpdateTime
		return nil
	}

	return classifyError(err, "creating batches of shard %d of mailing %s", sh.Number, sh.Mailing)
}

// shardUpdates returns the fields of a shard that change with each page.
func shardUpdates(sh *push.Shard) []firestore.Update {
	return []firestore.Update{
		{Path: "after", Value: sh.After}, {Path: "batches", Value: sh.Batches}, {Path: "done", Value: sh.Done},
		{Path: "leaseUntil", Value: timeOrNil(sh.LeaseUntil)}, {Path: "nextSlot", Value: timeOrNil(sh.NextSlot)},
		{Path: "targeted", Value: sh.Targeted}, {Path: "noValidToken", Value: sh.Excluded.NoValidToken},
		{Path: "optedOut", Value: sh.Excluded.OptedOut}, {Path: "category", Value: sh.Excluded.Category},
		{Path: "unknown", Value: sh.Excluded.Unknown}, {Path: "muted", Value: sh.Excluded.Muted},
		{Path: "filtered", Value: sh.Excluded.Filtered}, {Path: "control", Value: sh.Excluded.Control},
		{Path: "targetedBy", Value: encodeByVariant(sh.ByVariant)},
	}
}

// LeaseShard leases a shard to one call of dispatch until a time. It returns ErrConflict, and
// stores nothing, if another call has changed the shard since it was read: of two calls only
// one gets the lease.
func (s *Store) LeaseShard(ctx context.Context, sh *push.Shard, until time.Time) error {
	return s.writeLease(ctx, sh, push.Shard{LeaseUntil: until})
}

// ReleaseShard ends the lease of a shard. The shard continues at continueAt (zero: at once).
// publishedAt is when the caller publishes the message for that; zero: tick publishes it. It
// returns ErrConflict, and stores nothing, if another call has leased the shard.
func (s *Store) ReleaseShard(ctx context.Context, sh *push.Shard, continueAt, publishedAt time.Time) error {
	return s.writeLease(ctx, sh, push.Shard{ContinueAt: continueAt, PublishedAt: publishedAt})
}

// writeLease stores the lease of a shard, and when the shard continues. The revision of the
// shard is the precondition of the write.
func (s *Store) writeLease(ctx context.Context, sh *push.Shard, to push.Shard) error {
	leased := *sh
	leased.LeaseUntil, leased.ContinueAt, leased.PublishedAt = to.LeaseUntil, to.ContinueAt, to.PublishedAt
	revision, err := s.updateOnce(ctx, s.shardDocument(sh.Mailing, sh.Number), sh.Revision, []firestore.Update{
		{Path: "leaseUntil", Value: timeOrNil(to.LeaseUntil)}, {Path: "continueAt", Value: timeOrNil(to.ContinueAt)},
		{Path: "publishedAt", Value: timeOrNil(to.PublishedAt)},
	}...)
	if err != nil {
		return classifyError(err, "storing the lease of shard %d of mailing %s", sh.Number, sh.Mailing)
	}
	leased.Revision = revision
	*sh = leased
	return nil
}

// OpenShard is a shard that does not have all its batches yet.
type OpenShard struct {
	Number      int
	LeaseUntil  time.Time // until then a call of dispatch has it
	ContinueAt  time.Time // when the shard continues; zero: at once
	PublishedAt time.Time // when the message was published that no call has answered yet; zero: there is none
	Revision    time.Time // the revision that MarkShardPublished expects
}

// ListOpenShards lists the shards that do not have all their batches yet. A document that cannot
// be decoded is logged and left out.
func (s *Store) ListOpenShards(ctx context.Context, mailing string) ([]OpenShard, error) {
	q := s.openShardsQuery(mailing).Select("leaseUntil", "continueAt", "publishedAt")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "listing open shards of mailing %s", mailing)
	}

	var out []OpenShard
	for _, snap := range snaps {
		var d shardDoc
		k, err := strconv.Atoi(snap.Ref.ID)
		if err == nil {
			err = snap.DataTo(&d)
		}
		if err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		out = append(out, OpenShard{k, timeOrZero(d.LeaseUntil), timeOrZero(d.ContinueAt), timeOrZero(d.PublishedAt), snap.UpdateTime})
	}

	return out, nil
}

// openShardsQuery finds the shards of a mailing that do not have all their batches yet.
func (s *Store) openShardsQuery(mailing string) firestore.Query {
	return s.mailingDocument(mailing).Collection("shards").Where("done", "==", false)
}

// MarkShardPublished records that the caller is about to publish a message for a shard. It
// reports false, and stores nothing, if the shard has changed since it was listed: another
// call has published the message, or has leased the shard.
func (s *Store) MarkShardPublished(ctx context.Context, mailing string, sh OpenShard, at time.Time) (bool, error) {
	up := []firestore.Update{{Path: "publishedAt", Value: at}}
	_, err := s.shardDocument(mailing, sh.Number).Update(ctx, up, firestore.LastUpdateTime(sh.Revision))
	if isPreconditionFailed(err) || isNotFound(err) {
		return false, nil
	}
	return err == nil, classifyError(err, "marking shard %d of mailing %s as published", sh.Number, mailing)
}

// endShards ends the creation of batches of a mailing that has ended. It changes the revision
// of each open shard, so that a call of dispatch that still works on it gets ErrConflict with
// its next batches. The cursor of the shard stays, for countNotReached. The revision that was
// listed is the precondition: a shard that has changed may be done now, so the shards are
// listed again. It returns ErrConflict if a shard has changed each time.
func (s *Store) endShards(ctx context.Context, mailing string) error {
	const tries = 10
	end := []firestore.Update{{Path: "done", Value: true}, {Path: "endedEarly", Value: true}}
	for range tries {
		open, err := s.ListOpenShards(ctx, mailing)
		if err != nil {
			return err
		}
		changed := false
		for _, sh := range open {
			_, err := s.shardDocument(mailing, sh.Number).Update(ctx, end, firestore.LastUpdateTime(sh.Revision))
			if isPreconditionFailed(err) {
				changed = true
			} else if err != nil {
				return classifyError(err, "ending shard %d of mailing %s", sh.Number, mailing)
			}
		}
		if !changed {
			return nil
		}
	}

	return fmt.Errorf("ending the shards of mailing %s: %w", mailing, ErrConflict)
}
