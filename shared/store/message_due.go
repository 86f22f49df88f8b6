package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

const (
	// orphanedAfter is how long after a message was stored tick publishes it again, if no
	// call of deliver has stored anything about it: the function that stored it may have
	// crashed before it published it.
	orphanedAfter = 2 * time.Minute
	// orphanedAtMost is how long a message waits at most until it is published again.
	orphanedAtMost = 10 * time.Minute
	// minWait is how long a message waits at least that cannot be sent now.
	minWait = 5 * time.Second
	// dueMessagesAtOnce is how many messages of one shard ListDueMessages lists.
	dueMessagesAtOnce = 300
)

// dueFormat has as many characters for every time, so that texts sort as times do.
const dueFormat = "2006-01-02T15:04:05.000Z"

// encodeDue returns the value of the field due. The shard comes first, so that writes at
// the same time go to different ranges of the index.
func encodeDue(id string, at time.Time) string {
	return duePrefix(push.MessageShard(id)) + at.UTC().Format(dueFormat)
}

// duePrefix returns the first characters of the field due for the messages of a shard.
func duePrefix(shard int) string { return fmt.Sprintf("%x-", shard) }

// decodeDue returns the time in a value of the field due, zero if it has none.
func decodeDue(due string) time.Time {
	at, err := time.Parse(dueFormat, due[min(len(due), len(duePrefix(0))):])
	if err != nil {
		return time.Time{}
	}
	return at
}

// nextPublication returns when tick publishes the message again, zero for never.
func nextPublication(m *push.Message, now time.Time) time.Time {
	b := &m.Batch
	switch {
	case b.Settled:
		return time.Time{}
	case b.Lease.Until.After(now):
		return b.Lease.Until
	case !m.Picked && b.Leases == 0 && b.NotBefore.IsZero():
		return now.Add(orphanedAfter)
	case b.NotBefore.Before(now.Add(minWait)):
		return now.Add(minWait)
	case m.ExpiresAt.After(now) && b.NotBefore.After(m.ExpiresAt):
		return m.ExpiresAt
	}

	return b.NotBefore
}

// republishTime returns when to publish a message again that is published now. publishedAt is
// when it was published again before, zero if a call has worked on it since. The queue may be
// long, so the time doubles up to a limit, and there are few copies while no call works on the
// message.
func republishTime(publishedAt, now time.Time) time.Time {
	if publishedAt.IsZero() {
		return now.Add(orphanedAfter)
	}
	return now.Add(min(max(orphanedAfter, 2*now.Sub(publishedAt)), orphanedAtMost))
}

// DueMessage is a message that tick has to publish again.
type DueMessage struct {
	push.MessageRef
	At          time.Time // when it is due
	PublishedAt time.Time // when it was published again before; zero if a call has worked on it since
	Revision    time.Time // the revision that MarkMessagePublished expects
}

// ListDueMessages lists messages that have to be published again by a time, of every shard
// the first ones. It costs one read for each message, and at least one for each shard.
func (s *Store) ListDueMessages(ctx context.Context, until time.Time) ([]DueMessage, error) {
	lists := make([][]DueMessage, push.MessageShards)
	g, ctx := errgroup.WithContext(ctx)
	for shard := range lists {
		g.Go(func() (err error) {
			lists[shard], err = s.dueMessagesOf(ctx, shard, until)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, classifyError(err, "listing the messages that are due")
	}

	var out []DueMessage
	for _, list := range lists {
		out = append(out, list...)
	}

	return out, nil
}

// dueMessagesOf lists messages of one shard, the first due first, at most
// dueMessagesAtOnce.
func (s *Store) dueMessagesOf(ctx context.Context, shard int, until time.Time) ([]DueMessage, error) {
	prefix := duePrefix(shard)
	q := s.db.Collection("messages").Where("due", ">=", prefix).Where("due", "<=", prefix+until.UTC().Format(dueFormat)).
		OrderBy("due", firestore.Asc).Select("draft", "due", "publishedAt").Limit(dueMessagesAtOnce)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, err
	}

	var out []DueMessage
	for _, snap := range snaps {
		// A message that cannot be decoded is published too: deliver closes it.
		var d messageDoc
		m := push.Message{ID: snap.Ref.ID}
		if snap.DataTo(&d) == nil {
			_ = json.Unmarshal([]byte(d.Draft), &m.MessageDraft)
		}
		out = append(out, DueMessage{MessageRef: m.PublishedRef(), At: decodeDue(d.Due), PublishedAt: timeOrZero(d.PublishedAt), Revision: snap.UpdateTime})
	}

	return out, nil
}

// MarkMessagePublished records that the caller is about to publish a message again. It
// reports false, and stores nothing, if the message has changed since it was listed: another
// round has published it, or a call of deliver has stored something.
func (s *Store) MarkMessagePublished(ctx context.Context, x DueMessage, at time.Time) (bool, error) {
	_, err := s.messageDocument(x.Message).Update(ctx, []firestore.Update{
		{Path: "publishedAt", Value: at}, {Path: "due", Value: encodeDue(x.Message, republishTime(x.PublishedAt, at))},
	}, firestore.LastUpdateTime(x.Revision))
	if isPreconditionFailed(err) || isNotFound(err) {
		return false, nil
	}
	return err == nil, classifyError(err, "marking message %s as published", x.Message)
}
