package tick

import (
	"context"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// defaultAwake is how many batches of a mailing may be open when the hours of others
	// begin: two minutes at FCM's default quota, if they are full. More would wait in Pub/Sub.
	defaultAwake = 1200
	// slotted is how many batches get their slots in one transaction.
	slotted = 100
	// slotsAhead is how far ahead slots are given.
	slotsAhead = 2 * time.Minute
)

// checkWaiting looks at the batches of a mailing that wait for its hours. Those whose hours
// begin until the horizon are opened and published at that time. If the mailing has ended,
// all are, so that deliver settles them.
func (t *ticker) checkWaiting(ctx context.Context, m *push.Mailing, until time.Time, n *counts) error {
	switch {
	case m.State.Final():
		return t.openAll(ctx, m, n)
	case m.State != push.Sending:
		return nil
	case m.RateLimit() > 0:
		return t.assignSlots(ctx, m)
	}

	open, err := t.Store.CountOpen(ctx, m.ID)
	if err != nil || open >= t.awake {
		return err
	}
	list, err := t.Store.WaitingBatches(ctx, m.ID, until, t.awake-open)
	if err != nil {
		return err
	}
	return t.publish(ctx, t.planItems(waitingItems(list), until), n)
}

// waitingItems makes the items of batches that are due when their hours begin.
func waitingItems(list []store.WaitingBatch) []item {
	items := make([]item, len(list))
	for i, b := range list {
		items[i] = item{at: b.WaitUntil, mailing: b.Mailing, waiting: &b}
	}
	return items
}

// openAll opens and publishes the batches of a mailing that has ended.
func (t *ticker) openAll(ctx context.Context, m *push.Mailing, n *counts) error {
	for ctx.Err() == nil {
		list, err := t.Store.WaitingBatches(ctx, m.ID, t.Now().Add(push.MaxAhead), t.awake)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := t.publish(ctx, waitingItems(list), n); err != nil {
			return err
		}
	}
	return nil // the next round goes on
}

// assignSlots gives slots to the batches of a mailing with a rate whose hours have begun.
// They are published as every batch that has a slot.
func (t *ticker) assignSlots(ctx context.Context, m *push.Mailing) error {
	until := t.Now().Add(slotsAhead)
	for ctx.Err() == nil && m.NextSlot.Before(until) {
		list, err := t.Store.WaitingBatches(ctx, m.ID, until, slotted)
		if err != nil || len(list) == 0 {
			return err
		}
		done, err := t.Store.AssignSlots(ctx, m.ID, list, until)
		if err != nil || done < len(list) {
			return err
		}
	}
	return nil
}
