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
	Store       ledger
	Queue       publisher
	Delivery    deliverySource // nil: FCM's delivery data is not fetched
	Log         *slog.Logger
	Every       time.Duration // how often a round comes; 0: a minute
	CallTimeout time.Duration // the function's timeout; 0: two minutes
	Now         func() time.Time
	Sleep       func(context.Context, time.Duration) error
}

// ledger is what tick needs of the store.
type ledger interface {
	mailingStore
	shardStore
	batchStore
	waitingStore
	messageStore
	sweepStore
	statsStore
	reportStore
	deliveryStore
}

// mailingStore has the mailings that tick looks after.
type mailingStore interface {
	DueMailings(ctx context.Context, until time.Time) ([]*push.Mailing, error)
	MailingHeader(ctx context.Context, id string) (*push.Mailing, error)
	EndMailing(ctx context.Context, id string, s push.State, refusal string) (*push.Mailing, error)
	MarkStartPublished(ctx context.Context, m *push.Mailing, at time.Time) (bool, error)
	FreezeMailing(ctx context.Context, id string) (*push.Mailing, error)
	MarkCompletedPublished(ctx context.Context, id string) error
}

// shardStore has the shards.
type shardStore interface {
	OpenShards(ctx context.Context, mailing string) ([]store.OpenShard, error)
	MarkShardPublished(ctx context.Context, mailing string, sh store.OpenShard, at time.Time) (bool, error)
	MarkDispatched(ctx context.Context, id string) (bool, error)
}

// batchStore has the open batches.
type batchStore interface {
	OpenBatches(ctx context.Context, mailing string) ([]store.OpenBatch, error)
	HoldingBatches(ctx context.Context, mailing string) ([]store.OpenBatch, error)
	MarkBatchPublished(ctx context.Context, b store.OpenBatch, at time.Time) (bool, error)
	CloseStuck(ctx context.Context, mailing string) (int, error)
}

// waitingStore has the batches that wait for the hours of their mailing.
type waitingStore interface {
	CountOpen(ctx context.Context, mailing string) (int, error)
	WaitingBatches(ctx context.Context, mailing string, until time.Time, limit int) ([]store.WaitingBatch, error)
	OpenWaiting(ctx context.Context, b store.WaitingBatch, at time.Time) (bool, error)
	AssignSlots(ctx context.Context, mailing string, batches []store.WaitingBatch, until time.Time) (int, error)
}

// messageStore has the messages to one customer that are not settled.
type messageStore interface {
	DueMessages(ctx context.Context, until time.Time) ([]store.DueMessage, error)
	MarkMessagePublished(ctx context.Context, m store.DueMessage, at time.Time) (bool, error)
}

// sweepStore has what ages: tokens, events and unflags.
type sweepStore interface {
	ExpireTokens(ctx context.Context, after store.ExpiryCursor, limit int) (store.Expired, error)
	UnpublishedEvents(ctx context.Context, limit int) ([]push.Event, error)
	MarkEventsPublished(ctx context.Context, events ...push.Event) error
	StalledUnflags(ctx context.Context) ([]string, error)
}

type publisher interface {
	PublishDispatch(ctx context.Context, orders ...push.DispatchMessage) error
	PublishBatches(ctx context.Context, lane push.Lane, refs ...push.BatchRef) error
	PublishMessages(ctx context.Context, refs ...push.MessageRef) error
	PublishEvents(ctx context.Context, events ...push.Event) error
}

const (
	// swept is how many customers or events one step handles. sweeping is how long a
	// round goes on with such steps; the next round does the rest.
	swept    = 500
	sweeping = 15 * time.Second
	// sideBySide is how many mailings a round handles at the same time.
	sideBySide = 16
	// margin is how long before the function's timeout a call ends, at most.
	margin = 10 * time.Second
)

type ticker struct {
	Deps
	agenda *agenda
	awake  int          // see defaultAwake
	said   atomic.Int64 // when a round without work was last logged, in Unix seconds

	counted atomic.Pointer[string]    // the last day that this instance has seen counted
	froze   atomic.Pointer[time.Time] // when this instance last froze the counts of reports

	nextDelivery atomic.Pointer[time.Time] // when this instance next fetches delivery data
}

// New makes the handler of tick's push subscription.
func New(d Deps) http.Handler {
	t := newTicker(d)
	return queue.Receive(t.receive)
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
	d.CallTimeout = cmp.Or(d.CallTimeout, 2*time.Minute)
	return &ticker{Deps: d, agenda: &agenda{}, awake: defaultAwake}
}

// receive does a round, or checks the one mailing that the message names. Then the
// call stays and publishes what falls due until the next round. It always
// acknowledges: the next minute brings the next round, and redeliveries would only
// add up.
func (t *ticker) receive(ctx context.Context, msg queue.Message) queue.Settlement {
	var w push.WakeMessage
	_ = json.Unmarshal(msg.Data, &w) // the message of Cloud Scheduler names no mailing
	began := t.Now()
	until := t.horizon(began)

	ctx, cancel := context.WithTimeout(ctx, t.maxCall())
	defer cancel()
	var n counts
	var err error
	if w.Mailing != "" {
		until = t.agenda.end(until)
		err = t.checkWokenMailing(ctx, w.Mailing, until, &n)
	} else {
		err = t.round(ctx, until, &n)
		t.Log.Log(ctx, t.logLevel(&n, began), "tick done", "started", n.started.Load(), "republished", n.republished.Load(),
			"expired", n.expired.Load(), "completed", n.completed.Load(), "milliseconds", t.Now().Sub(began)/time.Millisecond)
	}
	if err != nil {
		t.Log.ErrorContext(ctx, "tick failed in part", "mailing", w.Mailing, "error", err)
	}
	t.publishUntil(ctx, until)
	return queue.Ack
}

// horizon returns until when a call that began at a time publishes what falls due.
func (t *ticker) horizon(began time.Time) time.Time {
	return began.Add(min(horizonOf(t.Every), t.maxCall()))
}

// horizonOf returns how long a call publishes what falls due: a little longer than
// until the next round, which may come late and needs some time to read everything.
func horizonOf(every time.Duration) time.Duration { return every + min(every/4, 15*time.Second) }

// maxCall returns how long a call may take.
func (t *ticker) maxCall() time.Duration { return maxCallOf(t.CallTimeout) }

// maxCallOf returns how much of the function's timeout a call uses.
func maxCallOf(timeout time.Duration) time.Duration { return timeout - min(margin, timeout/3) }

// counts has what one call did. It is safe for concurrent use.
type counts struct{ started, republished, expired, completed atomic.Int64 }

func (n *counts) none() bool {
	return n.started.Load()+n.republished.Load()+n.expired.Load()+n.completed.Load() == 0
}

// quietRounds is how often a round without work is logged. In the cloud there is one
// round a minute, and an alert waits for its line; a laptop has one each second.
const quietRounds = 30 * time.Second

// logLevel returns the level of the line of a round.
func (t *ticker) logLevel(n *counts, at time.Time) slog.Level {
	last := t.said.Load()
	if n.none() && at.Sub(time.Unix(last, 0)) < quietRounds {
		return slog.LevelDebug
	}
	t.said.Store(at.Unix())
	return slog.LevelInfo
}

// round handles mailings, tokens and events at the same time, so that each gets its
// share of the time. A fault of one mailing does not delay the others.
func (t *ticker) round(ctx context.Context, until time.Time, n *counts) error {
	// The call must not use the time of the next round, which reads everything again.
	ctx, cancel := context.WithTimeout(ctx, min(max(t.Every, 10*time.Second), t.maxCall()))
	defer cancel()
	faults := make([]error, 8)
	var g errgroup.Group
	g.Go(func() error { faults[0] = t.checkMailings(ctx, until, n); return nil })
	g.Go(func() error { faults[1] = t.expireTokens(ctx); return nil })
	g.Go(func() error { faults[2] = t.publishOwedEvents(ctx); return nil })
	g.Go(func() error { faults[3] = t.republishUnflags(ctx); return nil })
	g.Go(func() error { faults[4] = t.checkMessages(ctx, until, n); return nil })
	g.Go(func() error { faults[5] = t.countDay(ctx); return nil })
	g.Go(func() error { faults[6] = t.freezeReports(ctx); return nil })
	g.Go(func() error { faults[7] = t.fetchDeliveryData(ctx); return nil })
	_ = g.Wait() // it is nil: faults has the errors
	return errors.Join(faults...)
}

// checkMessages publishes the messages to one customer that are due, and puts those
// that fall due until the horizon on the agenda.
func (t *ticker) checkMessages(ctx context.Context, until time.Time, n *counts) error {
	list, err := t.Store.DueMessages(ctx, until)
	if err != nil {
		return err
	}
	items := make([]item, len(list))
	for i, m := range list {
		items[i] = item{at: m.At, message: &m}
	}
	return t.publish(ctx, t.planItems(items, until), n)
}

// checkMailings handles every mailing that is due. It begins at a random place in the
// list, so that a round that is too short for all leaves out different ones each
// time.
func (t *ticker) checkMailings(ctx context.Context, until time.Time, n *counts) error {
	list, err := t.Store.DueMailings(ctx, until)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		k := rand.IntN(len(list))
		list = append(list[k:len(list):len(list)], list[:k]...)
	}

	var faults faults
	var g errgroup.Group
	g.SetLimit(sideBySide)
	for i, m := range list {
		if ctx.Err() != nil {
			faults.add(fmt.Errorf("%d of %d mailings are left to the next round: %w", len(list)-i, len(list), ctx.Err()))
			break
		}
		g.Go(func() error {
			if err := t.checkMailing(ctx, m, until, n); err != nil && !push.IsConflict(err) {
				faults.add(fmt.Errorf("mailing %s: %w", m.ID, err))
			}
			return nil
		})
	}
	_ = g.Wait() // it is nil: faults has the errors
	return faults.err()
}

// checkWokenMailing handles one mailing before the next round.
func (t *ticker) checkWokenMailing(ctx context.Context, id string, until time.Time, n *counts) error {
	m, err := t.Store.MailingHeader(ctx, id)
	if err != nil {
		return err
	}
	if !m.Active {
		return nil
	}
	return t.checkMailing(ctx, m, until, n)
}

// checkMailing does what is due for a mailing, and puts what falls due until the
// horizon on the agenda.
func (t *ticker) checkMailing(ctx context.Context, m *push.Mailing, until time.Time, n *counts) error {
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
		return t.holdingBatches(ctx, m, until, n)
	case m.State == push.Scheduled, m.State == push.Accepted:
		return t.publish(ctx, t.planItems([]item{{at: startDue(m), mailing: m.ID, start: m}}, until), n)
	}

	return nil
}

// publishCompleted publishes mailing.completed of a mailing that has its totals.
func (t *ticker) publishCompleted(ctx context.Context, id string) error {
	m, err := t.Store.MailingHeader(ctx, id)
	if err != nil {
		return err
	}
	return queue.PublishCompleted(ctx, t.Store, t.Queue, m)
}

// expireTokens flags the tokens that are too old.
func (t *ticker) expireTokens(ctx context.Context) error {
	var faults []error
	var after store.ExpiryCursor
	for end := t.Now().Add(sweeping); ; {
		out, err := t.Store.ExpireTokens(ctx, after, swept)
		faults = append(faults, err, queue.PublishEventsNow(ctx, t.Queue, t.Store, out.Events))
		if out.All || out.Customers == 0 || t.Now().After(end) || ctx.Err() != nil {
			return errors.Join(faults...)
		}
		after = out.Next
	}
}

// publishOwedEvents publishes events whose writer crashed before it could.
func (t *ticker) publishOwedEvents(ctx context.Context) error {
	for until := t.Now().Add(sweeping); ; {
		events, err := t.Store.UnpublishedEvents(ctx, swept)
		if err := errors.Join(err, queue.PublishEventsNow(ctx, t.Queue, t.Store, events)); err != nil {
			return err
		}
		if len(events) < swept || t.Now().After(until) {
			return nil
		}
	}
}
