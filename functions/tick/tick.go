package tick

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/cloud"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Deps are the dependencies and settings of tick. Store and Queue are required.
type Deps struct {
	Store    dataStore
	Queue    publisher
	Delivery deliverySource // nil: FCM's delivery data is not fetched
	// DeliveryEvery is how often it is fetched; 0: once a day.
	DeliveryEvery time.Duration
	Log           *slog.Logger
	Every         time.Duration // how often a round comes; 0: a minute
	CallTimeout   time.Duration // the function's timeout; 0: two minutes
	Now           func() time.Time
	Sleep         func(context.Context, time.Duration) error
}

// dataStore is what tick needs of the store.
type dataStore interface {
	mailingStore
	shardStore
	batchStore
	waitingStore
	messageStore
	agingStore
	statsStore
	reportStore
	deliveryStore
}

// mailingStore is what tick needs of mailings that are due.
type mailingStore interface {
	ListDueMailings(ctx context.Context, until time.Time) ([]*push.Mailing, error)
	ReadMailingHeader(ctx context.Context, id string) (*push.Mailing, error)
	EndMailing(ctx context.Context, id string, s push.State, refusal string) (*push.Mailing, error)
	MarkStartPublished(ctx context.Context, m *push.Mailing, at time.Time) (bool, error)
	FreezeMailing(ctx context.Context, id string) (*push.Mailing, error)
	MarkCompletedPublished(ctx context.Context, id string) error
}

// shardStore is what tick needs of shards.
type shardStore interface {
	ListOpenShards(ctx context.Context, mailing string) ([]store.OpenShard, error)
	MarkShardPublished(ctx context.Context, mailing string, sh store.OpenShard, at time.Time) (bool, error)
	MarkMailingDispatched(ctx context.Context, id string) (bool, error)
}

// batchStore is what tick needs of open batches.
type batchStore interface {
	ListOpenBatches(ctx context.Context, mailing string) ([]store.OpenBatch, error)
	ListBatchesPublishedBy(ctx context.Context, mailing string, by time.Time) ([]store.OpenBatch, error)
	ListHoldingBatches(ctx context.Context, mailing string) ([]store.OpenBatch, error)
	MarkBatchPublished(ctx context.Context, b store.OpenBatch, at time.Time) (bool, error)
	CloseStuckBatches(ctx context.Context, mailing string) (int, error)
}

// waitingStore has the batches that wait for the hours of their mailing.
type waitingStore interface {
	CountOpenBatches(ctx context.Context, mailing string) (int, error)
	ListWaitingBatches(ctx context.Context, mailing string, until time.Time, limit int) ([]store.WaitingBatch, error)
	OpenWaitingBatch(ctx context.Context, b store.WaitingBatch, at time.Time) (bool, error)
	AssignSlots(ctx context.Context, mailing string, batches []store.WaitingBatch, until time.Time) (int, error)
}

// messageStore has the messages to one customer that are not settled.
type messageStore interface {
	ListDueMessages(ctx context.Context, until time.Time) ([]store.DueMessage, error)
	MarkMessagePublished(ctx context.Context, m store.DueMessage, at time.Time) (bool, error)
}

// agingStore has what ages: tokens, events and unflags.
type agingStore interface {
	ExpireTokens(ctx context.Context, after store.ExpiryCursor, limit int) (store.ExpiryResult, error)
	ListUnpublishedEvents(ctx context.Context, limit int) ([]push.Event, error)
	MarkEventsPublished(ctx context.Context, events ...push.Event) error
	ListStalledUnflags(ctx context.Context) ([]string, error)
}

// publisher is what tick needs of the queue.
type publisher interface {
	PublishDispatch(ctx context.Context, messages ...push.DispatchMessage) error
	PublishBatches(ctx context.Context, lane push.Lane, refs ...push.BatchRef) error
	PublishMessages(ctx context.Context, refs ...push.MessageRef) error
	PublishEvents(ctx context.Context, events ...push.Event) error
}

const (
	// sweptPerStep is how many customers or events one step handles. sweepTime is how long a
	// round does such steps; the next round does the rest.
	sweptPerStep = 500
	sweepTime    = 15 * time.Second
	// mailingsAtOnce is how many mailings a round handles at the same time.
	mailingsAtOnce = 16
	// callMargin is how long before the function's timeout a call ends, at most.
	callMargin = 10 * time.Second
)

// ticker has what all calls of an instance share.
type ticker struct {
	Deps
	agenda         *agenda
	maxOpenBatches int          // see defaultMaxOpen
	quietLoggedAt  atomic.Int64 // when a round without work was last logged, in Unix seconds

	countedDay     atomic.Pointer[string]    // the last day that this instance has seen counted
	frozeReportsAt atomic.Pointer[time.Time] // when this instance last froze the counts of reports

	nextDelivery atomic.Pointer[time.Time] // when this instance next fetches delivery data
}

// New makes the handler of tick's push subscription.
func New(d Deps) http.Handler {
	t := newTicker(d)
	return queue.Receive(t.receiveFromPubSub)
}

func newTicker(d Deps) *ticker {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Sleep == nil {
		d.Sleep = cloud.Sleep
	}
	d.Every = cmp.Or(d.Every, time.Minute)
	d.DeliveryEvery = cmp.Or(d.DeliveryEvery, 24*time.Hour)
	d.CallTimeout = cmp.Or(d.CallTimeout, 2*time.Minute)
	return &ticker{Deps: d, agenda: &agenda{}, maxOpenBatches: defaultMaxOpen}
}

// receiveFromPubSub does a round, or checks the one mailing that the message names. Then the
// call goes on and publishes what becomes due before the next round. It always
// acknowledges: the next minute brings the next round, and redeliveries would only
// add up.
func (t *ticker) receiveFromPubSub(ctx context.Context, msg queue.Message) queue.Reply {
	var w push.WakeMessage
	_ = json.Unmarshal(msg.Data, &w) // the message of Cloud Scheduler names no mailing
	began := t.Now()
	until := t.publishUntilTime(began)

	// The context ends before the function's timeout, so that the call can still answer.
	ctx, cancel := context.WithTimeout(ctx, t.maxCallTime())
	defer cancel()
	var n roundCounts
	var err error
	if w.Mailing != "" {
		until = t.agenda.endOfLongestStay(until)
		err = t.checkWokenMailing(ctx, w.Mailing, until, &n)
	} else {
		err = t.runRound(ctx, until, &n)
		if !isUnreadable(err) { // an alert waits for this line
			t.Log.Log(ctx, t.logLevel(&n, began), "tick done", "started", n.started.Load(), "republished", n.republished.Load(),
				"expired", n.expired.Load(), "completed", n.completed.Load(), "milliseconds", t.Now().Sub(began)/time.Millisecond)
		}
	}

	switch {
	case isUnreadable(err):
		t.Log.ErrorContext(ctx, "tick failed", "error", err)
	case err != nil:
		t.Log.ErrorContext(ctx, "tick failed in part", "mailing", w.Mailing, "error", err)
	}
	t.publishUntil(ctx, until)
	return queue.Ack
}

// publishUntilTime returns until when a call that began at a time publishes what becomes due.
func (t *ticker) publishUntilTime(began time.Time) time.Time {
	return began.Add(min(publishingTime(t.Every), t.maxCallTime()))
}

// publishingTime returns how long a call publishes what becomes due: a little longer than
// until the next round, which may come late and needs some time to read everything.
func publishingTime(every time.Duration) time.Duration { return every + min(every/4, 15*time.Second) }

// maxCallTime returns how long a call may take.
func (t *ticker) maxCallTime() time.Duration { return maxCallTimeOf(t.CallTimeout) }

// maxCallTimeOf returns how much of the function's timeout a call uses.
func maxCallTimeOf(timeout time.Duration) time.Duration { return timeout - min(callMargin, timeout/3) }

// roundCounts has what one call did. It is safe for concurrent use.
type roundCounts struct{ started, republished, expired, completed atomic.Int64 }

// isEmpty reports whether the round has done nothing.
func (n *roundCounts) isEmpty() bool {
	return n.started.Load()+n.republished.Load()+n.expired.Load()+n.completed.Load() == 0
}

// quietLogEvery is how often a round without work is logged. In the cloud there is one
// round a minute, and an alert waits for its line; a laptop has one each second.
const quietLogEvery = 30 * time.Second

// logLevel returns the level of the line of a round.
func (t *ticker) logLevel(n *roundCounts, at time.Time) slog.Level {
	last := t.quietLoggedAt.Load()
	if n.isEmpty() && at.Sub(time.Unix(last, 0)) < quietLogEvery {
		return slog.LevelDebug
	}
	t.quietLoggedAt.Store(at.Unix())
	return slog.LevelInfo
}

// runRound handles mailings, tokens and events at the same time, so that each gets its
// share of the time. A fault of one mailing does not delay the others.
func (t *ticker) runRound(ctx context.Context, until time.Time, n *roundCounts) error {
	// The call must not use the time of the next round, which reads everything again.
	ctx, cancel := context.WithTimeout(ctx, min(max(t.Every, 10*time.Second), t.maxCallTime()))
	defer cancel()
	faults := make([]error, 8)
	var g errgroup.Group
	g.Go(func() error { faults[0] = t.checkMailings(ctx, until, n); return nil })
	g.Go(func() error { faults[1] = t.expireTokens(ctx); return nil })
	g.Go(func() error { faults[2] = t.publishUnpublishedEvents(ctx); return nil })
	g.Go(func() error { faults[3] = t.republishUnflags(ctx); return nil })
	g.Go(func() error { faults[4] = t.checkMessages(ctx, until, n); return nil })
	g.Go(func() error { faults[5] = t.countDay(ctx); return nil })
	g.Go(func() error { faults[6] = t.freezeReports(ctx); return nil })
	g.Go(func() error { faults[7] = t.fetchDeliveryData(ctx); return nil })
	_ = g.Wait() // it is nil: faults has the errors
	return errors.Join(faults...)
}

// checkMessages publishes the messages to one customer that are due, and puts those
// that become due before until on the agenda.
func (t *ticker) checkMessages(ctx context.Context, until time.Time, n *roundCounts) error {
	list, err := t.Store.ListDueMessages(ctx, until)
	if err != nil {
		return &unreadableError{err}
	}
	items := make([]agendaItem, len(list))
	for i, m := range list {
		items[i] = agendaItem{at: m.At, message: &m}
	}
	return t.publishItems(ctx, t.planItems(items, until), n)
}

// checkMailings handles every mailing that is due. It begins at a random place in the
// list, so that a round that is too short for all leaves out different ones each
// time.
func (t *ticker) checkMailings(ctx context.Context, until time.Time, n *roundCounts) error {
	list, err := t.Store.ListDueMailings(ctx, until)
	if err != nil {
		return &unreadableError{err}
	}
	if len(list) > 0 {
		k := rand.IntN(len(list))
		list = append(list[k:len(list):len(list)], list[:k]...)
	}

	var faults errorList
	var g errgroup.Group
	g.SetLimit(mailingsAtOnce)
	for i, m := range list {
		if ctx.Err() != nil {
			faults.addError(fmt.Errorf("%d of %d mailings are left to the next round: %w", len(list)-i, len(list), ctx.Err()))
			break
		}
		g.Go(func() error {
			if err := t.checkMailing(ctx, m, until, n); err != nil && !push.IsStateConflict(err) {
				faults.addError(fmt.Errorf("mailing %s: %w", m.ID, err))
			}
			return nil
		})
	}
	_ = g.Wait() // it is nil: faults has the errors
	return faults.joinErrors()
}

// checkWokenMailing handles one mailing before the next round.
func (t *ticker) checkWokenMailing(ctx context.Context, id string, until time.Time, n *roundCounts) error {
	m, err := t.Store.ReadMailingHeader(ctx, id)
	if err != nil {
		return err
	}
	if !m.Active {
		return nil
	}
	return t.checkMailing(ctx, m, until, n)
}

// checkMailing does what is due for a mailing, and puts what becomes due before
// until on the agenda.
func (t *ticker) checkMailing(ctx context.Context, m *push.Mailing, until time.Time, n *roundCounts) error {
	now := t.Now()
	if m.Totals != nil {
		return t.publishCompleted(ctx, m.ID)
	}
	if !m.State.Final() && !m.ExpiresAt.After(now) {
		ended, err := t.Store.EndMailing(ctx, m.ID, push.Expired, "")
		if err != nil {
			return err
		}
		t.Log.InfoContext(ctx, "mailing state", "mailing", m.ID, "from", m.State, "to", ended.State)
		n.expired.Add(1)
		m = ended
	}

	if m.Hours != nil {
		if err := t.checkWaiting(ctx, m, until, n); err != nil {
			return err
		}
	}

	switch {
	case m.State.Final():
		return t.publishBatchesOrFinish(ctx, m, until, n)
	case m.State == push.Sending:
		if err := t.publishShards(ctx, m, until, n); err != nil {
			return err
		}
		return t.publishBatchesOrFinish(ctx, m, until, n)
	case m.State == push.Paused && m.PausedReason.Implausible():
		return t.publishHoldingBatches(ctx, m, until, n)
	case m.State == push.Scheduled, m.State == push.Accepted:
		return t.publishItems(ctx, t.planItems([]agendaItem{{at: startDue(m), mailing: m.ID, start: m}}, until), n)
	}

	return nil
}

// publishCompleted publishes mailing.completed of a mailing that has its totals.
func (t *ticker) publishCompleted(ctx context.Context, id string) error {
	m, err := t.Store.ReadMailingHeader(ctx, id)
	if err != nil {
		return err
	}
	return queue.PublishCompleted(ctx, t.Store, t.Queue, m)
}

// expireTokens flags the tokens that are too old.
func (t *ticker) expireTokens(ctx context.Context) error {
	var faults []error
	var after store.ExpiryCursor
	for end := t.Now().Add(sweepTime); ; {
		out, err := t.Store.ExpireTokens(ctx, after, sweptPerStep)
		faults = append(faults, err, queue.PublishEventsNow(ctx, t.Queue, t.Store, out.Events))
		if out.All || out.Customers == 0 || t.Now().After(end) || ctx.Err() != nil {
			return errors.Join(faults...)
		}
		after = out.Next
	}
}

// publishUnpublishedEvents publishes events whose writer crashed before it could.
func (t *ticker) publishUnpublishedEvents(ctx context.Context) error {
	for until := t.Now().Add(sweepTime); ; {
		events, err := t.Store.ListUnpublishedEvents(ctx, sweptPerStep)
		if err := errors.Join(err, queue.PublishEventsNow(ctx, t.Queue, t.Store, events)); err != nil {
			return err
		}
		if len(events) < sweptPerStep || t.Now().After(until) {
			return nil
		}
	}
}
