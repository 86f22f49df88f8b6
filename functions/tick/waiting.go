package tick

import (
	"context"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// defaultMaxOpen is how many batches of a mailing may be open when the hours of others
	// begin: two minutes at FCM's default quota, if they are full. More would wait in Pub/Sub.
	defaultMaxOpen = 1200
	// slotsAtOnce is how many batches get their slots in one transaction.
	slotsAtOnce = 100
	// slotsAhead is how far ahead slots are given.
	slotsAhead = 2 * time.Minute
)

// checkWaiting opens and publishes the batches of a mailing whose hours begin before the
// time until, each at its time. If the mailing has ended, it opens and publishes all that wait,
// so that deliver settles them.
func (t *ticker) checkWaiting(ctx context.Context, m *push.Mailing, until time.Time, n *roundCounts) error {
	switch {
	case m.State.Final():
		return t.openAllWaiting(ctx, m, n)
	case m.State != push.Sending:
		return nil
	case m.RateLimit() > 0:
		return t.assignSlots(ctx, m)
	}

	open, err := t.Store.CountOpenBatches(ctx, m.ID)
	if err != nil || open >= t.maxOpenBatches {
		return err
	}
	list, err := t.Store.ListWaitingBatches(ctx, m.ID, until, t.maxOpenBatches-open)
	if err != nil {
		return err
	}
	return t.publishItems(ctx, t.planItems(waitingItems(list), until), n)
}

// waitingItems makes the items of batches that are due when their hours begin.
func waitingItems(list []store.WaitingBatch) []agendaItem {
	items := make([]agendaItem, len(list))
	for i, b := range list {
		items[i] = agendaItem{at: b.WaitUntil, mailing: b.Mailing, waiting: &b}
	}
	return items
}

// openAllWaiting opens and publishes the batches of a mailing that has ended.
func (t *ticker) openAllWaiting(ctx context.Context, m *push.Mailing, n *roundCounts) error {
	for ctx.Err() == nil {
		list, err := t.Store.ListWaitingBatches(ctx, m.ID, t.Now().Add(push.MaxAhead), t.maxOpenBatches)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := t.publishItems(ctx, waitingItems(list), n); err != nil {
			return err
		}
	}
	return nil // the next round continues
}

// assignSlots gives slots to the batches of a mailing with a rate whose hours have begun.
// They are published as every batch that has a slot.
func (t *ticker) assignSlots(ctx context.Context, m *push.Mailing) error {
	until := t.Now().Add(slotsAhead)
	for ctx.Err() == nil && m.NextSlot.Before(until) {
		list, err := t.Store.ListWaitingBatches(ctx, m.ID, until, slotsAtOnce)
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
