package tick

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// An agendaItem is a Pub/Sub message to publish at a time: to start a mailing, or for a shard,
// a batch or a message to one customer.
type agendaItem struct {
	at      time.Time
	mailing string
	start   *push.Mailing
	shard   *store.OpenShard
	batch   *store.OpenBatch
	waiting *store.WaitingBatch
	message *store.DueMessage
}

// An agenda has the messages that this instance publishes later, the earliest first.
// All calls of the instance share it: a call leaves its items to another call that
// stays longer. It is safe for concurrent use.
type agenda struct {
	mu    sync.Mutex // guards items and stays together: a call leaves only if no item is due for it
	items byTime
	stays []time.Time // until when each call stays
}

// byTime is a heap of items, the earliest first. It implements heap.Interface.
type byTime []agendaItem

func (b byTime) Len() int           { return len(b) }
func (b byTime) Less(i, j int) bool { return b[i].at.Before(b[j].at) }
func (b byTime) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *byTime) Push(x any)        { *b = append(*b, x.(agendaItem)) }

func (b *byTime) Pop() any {
	last := len(*b) - 1
	x := (*b)[last]
	(*b)[last] = agendaItem{}
	*b = (*b)[:last]
	return x
}

// addItem adds an item for the call that stays longest.
func (a *agenda) addItem(x agendaItem) {
	a.mu.Lock()
	defer a.mu.Unlock()
	heap.Push(&a.items, x)
}

// endOfLongestStay returns until when a call stays already, or otherwise.
func (a *agenda) endOfLongestStay(otherwise time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.longestStayLocked()
	if last.IsZero() {
		return otherwise
	}
	return last
}

// longestStayLocked returns the latest time until which a call stays, zero if no call stays.
// The caller holds mu.
func (a *agenda) longestStayLocked() time.Time {
	var last time.Time
	for _, at := range a.stays {
		last = laterOf(last, at)
	}
	return last
}

// beginStay records that a call stays until then. It reports false if the call need not
// stay, because another one does.
func (a *agenda) beginStay(until time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.longestStayLocked().Before(until) {
		return false
	}
	a.stays = append(a.stays, until)
	return true
}

// endStay removes what enter recorded.
func (a *agenda) endStay(until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endStayLocked(until)
}

// endStayLocked is endStay for a caller that holds mu.
func (a *agenda) endStayLocked(until time.Time) {
	for i, at := range a.stays {
		if at.Equal(until) {
			a.stays = append(a.stays[:i], a.stays[i+1:]...)
			return
		}
	}
}

// takeDue removes and returns the items that are due at now, and how long it is until
// the next one. If stay is false, no other item is due until then and the call has
// left: items that are added later are not its own.
func (a *agenda) takeDue(now, until time.Time) (due []agendaItem, wait time.Duration, stay bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.items) > 0 && !a.items[0].at.After(now) {
		due = append(due, heap.Pop(&a.items).(agendaItem))
	}

	if len(due) > 0 {
		return due, 0, true
	}
	if len(a.items) == 0 || a.items[0].at.After(until) {
		a.endStayLocked(until)
		return nil, 0, false
	}
	return nil, a.items[0].at.Sub(now), true
}

// maxSleep is how long a call sleeps at most before it checks the agenda again, because
// other calls may add items.
const maxSleep = 500 * time.Millisecond

// publishUntil publishes the items that become due by then, each at its time. If the
// call is killed, nothing is lost: the next round finds what is not published.
func (t *ticker) publishUntil(ctx context.Context, until time.Time) {
	if !t.agenda.beginStay(until) {
		return
	}

	for {
		due, wait, stay := t.agenda.takeDue(t.Now(), until)
		if !stay {
			return
		}
		err := t.publishItems(ctx, due, &roundCounts{})
		if err == nil && wait > 0 {
			err = t.Sleep(ctx, min(wait, maxSleep))
		}
		if err != nil {
			t.Log.WarnContext(ctx, "tick did not publish these items at their time; the next round does", "items", len(due), "error", err)
		}
		if ctx.Err() != nil {
			t.agenda.endStay(until)
			return
		}
	}
}

// planItems puts the items that become due before until on the agenda, and returns
// those that are due now.
func (t *ticker) planItems(items []agendaItem, until time.Time) (due []agendaItem) {
	now := t.Now()
	for _, x := range items {
		switch {
		case !x.at.After(now):
			due = append(due, x)
		case x.at.Before(until):
			t.agenda.addItem(x)
		}
	}
	return due
}

const (
	// markedAtOnce is how many items are recorded as published at the same time. chunk is
	// how many are published together: the first are published while others are being
	// recorded.
	markedAtOnce    = 16
	publishedAtOnce = 64
)

// publishItems records items as published and publishes them. An item whose shard or batch
// has changed since it was listed is skipped.
func (t *ticker) publishItems(ctx context.Context, items []agendaItem, n *roundCounts) error {
	var faults errorList
	for len(items) > 0 {
		k := min(len(items), publishedAtOnce)
		faults.addError(t.publishTogether(ctx, items[:k], n))
		items = items[k:]
	}
	return faults.joinErrors()
}

// publishTogether records items as published, many at the same time, and then publishes
// all that could be recorded.
func (t *ticker) publishTogether(ctx context.Context, items []agendaItem, n *roundCounts) error {
	// Each item is recorded at the revision that was listed: of two rounds at the same time
	// only one publishes it.
	marked := make([]bool, len(items))
	var faults errorList
	var g errgroup.Group
	g.SetLimit(markedAtOnce)
	for i, x := range items {
		g.Go(func() (err error) {
			marked[i], err = t.markPublished(ctx, x)
			faults.addError(err)
			return nil
		})
	}
	_ = g.Wait() // it is nil: faults has the errors

	dispatches, messages, refs := groupByTopic(items, marked, n)
	if len(dispatches) > 0 {
		faults.addError(t.Queue.PublishDispatch(ctx, dispatches...))
	}
	if len(messages) > 0 {
		faults.addError(t.Queue.PublishMessages(ctx, messages...))
	}

	for lane, list := range refs {
		faults.addError(t.Queue.PublishBatches(ctx, lane, list...))
	}

	return faults.joinErrors()
}

// groupByTopic groups the marked items by the topic of their messages, and counts them.
func groupByTopic(items []agendaItem, marked []bool, n *roundCounts) (dispatches []push.DispatchMessage, messages []push.MessageRef, refs map[push.Lane][]push.BatchRef) {
	refs = map[push.Lane][]push.BatchRef{}
	for i, x := range items {
		switch {
		case !marked[i]:
		case x.batch != nil:
			refs[x.batch.Lane] = append(refs[x.batch.Lane], x.batch.BatchRef)
			n.republished.Add(1)
		case x.waiting != nil:
			refs[x.waiting.Lane] = append(refs[x.waiting.Lane], x.waiting.BatchRef)
			n.republished.Add(1)
		case x.message != nil:
			messages = append(messages, x.message.MessageRef)
			n.republished.Add(1)
		case x.shard != nil:
			dispatches = append(dispatches, push.DispatchMessage{Mailing: x.mailing, Shard: x.shard.Number})
			n.republished.Add(1)
		case x.start != nil:
			dispatches = append(dispatches, push.DispatchMessage{Mailing: x.mailing, Shard: push.DispatchStart})
			n.started.Add(1)
		}
	}
	return dispatches, messages, refs
}

// markPublished records that an item is about to be published. It reports false if it
// must not be.
func (t *ticker) markPublished(ctx context.Context, x agendaItem) (bool, error) {
	switch {
	case x.message != nil:
		return t.Store.MarkMessagePublished(ctx, *x.message, t.Now())
	case x.waiting != nil:
		return t.Store.OpenWaitingBatch(ctx, *x.waiting, t.Now())
	case x.batch != nil:
		return t.Store.MarkBatchPublished(ctx, *x.batch, t.Now())
	case x.shard != nil:
		return t.Store.MarkShardPublished(ctx, x.mailing, *x.shard, t.Now())
	}
	return t.Store.MarkStartPublished(ctx, x.start, t.Now())
}
