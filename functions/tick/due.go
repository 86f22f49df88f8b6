package tick

import (
	"context"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

const (
	// shardLostAfter is how long after it was published a message counts as lost that no call
	// has answered: Pub/Sub usually delivers within a second. batchLostAfter is longer,
	// because a batch may have to wait for two minutes of other batches.
	shardLostAfter = 30 * time.Second
	batchLostAfter = 3 * time.Minute
	// A message is published again after twice as long each time, at most after
	// maxRepublishWait, so that there are few copies while no call answers. After an outage,
	// however long, everything goes on within this time.
	maxRepublishWait = 10 * time.Minute
	// stuckAfter is how long after its lifetime a mailing waits for its batches.
	stuckAfter = 24 * time.Hour
)

// republishAt returns when to publish a message again that was published at a time
// and should have been answered since base.
func republishAt(base, published time.Time, least time.Duration) time.Time {
	return published.Add(min(max(published.Sub(base), least), maxRepublishWait))
}

// shardDue returns when to publish a message for a shard.
func shardDue(m *push.Mailing, sh store.OpenShard) time.Time {
	at := laterOf(sh.LeaseUntil, sh.ContinueAt)
	if sh.PublishedAt.IsZero() {
		return at
	}
	return laterOf(at, republishAt(laterOf(m.StartedAt, at), sh.PublishedAt, shardLostAfter))
}

// batchDue returns when to publish a batch: at its time, after the end of its lease,
// and again when its message counts as lost.
func batchDue(m *push.Mailing, b store.OpenBatch) time.Time {
	at := laterOf(b.NotBefore, b.LeaseUntil)
	if m.State.Final() {
		at = b.LeaseUntil // the call with the lease closes it; without a lease it need not wait
	}
	if b.PublishedAt.IsZero() || b.PublishedAt.Before(m.ResumedAt) { // deliver acknowledged messages that came during the pause
		return at
	}
	return laterOf(at, republishAt(laterOf(b.CreatedAt, at), b.PublishedAt, batchLostAfter))
}

// laterOf returns the later of two times.
func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// startDue returns when to publish the message that starts a mailing: at its time, or
// later if it was to be sent at once, because its message is published already.
func startDue(m *push.Mailing) time.Time {
	switch {
	case !m.PublishedAt.IsZero():
		return republishAt(m.StartAt, m.PublishedAt, shardLostAfter)
	case m.State == push.Accepted:
		return m.StartAt.Add(shardLostAfter)
	}
	return m.StartAt
}

// publishShards publishes messages for the shards that are not leased and whose time
// has come.
func (t *ticker) publishShards(ctx context.Context, m *push.Mailing, until time.Time, n *roundCounts) error {
	if m.Dispatched {
		return nil
	}
	open, err := t.Store.ListOpenShards(ctx, m.ID)
	if err != nil {
		return err
	}
	if len(open) == 0 {
		m.Dispatched, err = t.Store.MarkMailingDispatched(ctx, m.ID)
		return err
	}

	items := make([]agendaItem, len(open))
	for i, sh := range open {
		items[i] = agendaItem{at: shardDue(m, sh), mailing: m.ID, shard: &sh}
	}

	return t.publishItems(ctx, t.planItems(items, until), n)
}

// publishBatchesOrFinish publishes the batches that are due and not leased, and plans those
// that become due before until. If no batch is open, it finishes the mailing.
func (t *ticker) publishBatchesOrFinish(ctx context.Context, m *push.Mailing, until time.Time, n *roundCounts) error {
	open, err := t.listBatches(ctx, m, until)
	if err != nil {
		return err
	}
	if m.State.Final() && t.Now().Sub(m.ExpiresAt) > stuckAfter {
		return t.closeStuck(ctx, m, n)
	}
	if len(open) == 0 {
		return t.finishMailing(ctx, m, n)
	}
	return t.publishBatches(ctx, m, open, until, n)
}

// listBatches lists the open batches of a mailing. While it is sending, it leaves out those that
// cannot be due by then, because their message was published only lately: see batchDue.
func (t *ticker) listBatches(ctx context.Context, m *push.Mailing, until time.Time) ([]store.OpenBatch, error) {
	if m.State.Final() {
		return t.Store.ListOpenBatches(ctx, m.ID)
	}
	return t.Store.ListBatchesPublishedBy(ctx, m.ID, lastPublished(m, until))
}

// lastPublished returns a time for a mailing that is sending: a batch whose message was published
// after it is not due before until.
func lastPublished(m *push.Mailing, until time.Time) time.Time {
	return laterOf(until.Add(-batchLostAfter), m.ResumedAt)
}

// publishHoldingBatches publishes the batches of a paused mailing that have held flags:
// deliver asks FCM for evidence, and resumes the mailing when it has some.
func (t *ticker) publishHoldingBatches(ctx context.Context, m *push.Mailing, until time.Time, n *roundCounts) error {
	holding, err := t.Store.ListHoldingBatches(ctx, m.ID)
	if err != nil {
		return err
	}
	return t.publishBatches(ctx, m, holding, until, n)
}

// publishBatches publishes the batches that are due, and plans those that become due before
// until.
func (t *ticker) publishBatches(ctx context.Context, m *push.Mailing, open []store.OpenBatch, until time.Time, n *roundCounts) error {
	items := make([]agendaItem, len(open))
	for i, b := range open {
		items[i] = agendaItem{at: batchDue(m, b), mailing: m.ID, batch: &b}
	}
	return t.publishItems(ctx, t.planItems(items, until), n)
}

// closeStuck ends a mailing whose lifetime ended long ago: no call can settle batches
// that are still open.
func (t *ticker) closeStuck(ctx context.Context, m *push.Mailing, n *roundCounts) error {
	if _, err := t.Store.CloseStuckBatches(ctx, m.ID); err != nil {
		return err
	}
	return t.finishMailing(ctx, m, n)
}

// finishMailing ends the mailing if it can end and no batch of it is open.
func (t *ticker) finishMailing(ctx context.Context, m *push.Mailing, n *roundCounts) error {
	if !m.CanFinish() {
		return nil
	}
	done, err := queue.FinishMailing(ctx, t.Store, t.Queue, m.ID)
	if done != nil {
		t.Log.InfoContext(ctx, "mailing state", "mailing", m.ID, "from", m.State, "to", done.State)
		n.completed.Add(1)
	}
	return err
}
