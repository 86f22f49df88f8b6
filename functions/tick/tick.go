package tick

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Deps is what tick works with; Store and Queue are needed.
type Deps struct {
	Store ledger
	Queue publisher
	Log   *slog.Logger
	Now   func() time.Time
}

// ledger is what tick needs of the store.
type ledger interface {
	Active(ctx context.Context) ([]*push.Mailing, error)
	End(ctx context.Context, id string, s push.State, refusal string) (*push.Mailing, error)
	OpenShards(ctx context.Context, mailing string) ([]store.OpenShard, error)
	OpenBatches(ctx context.Context, mailing string) ([]store.OpenBatch, error)
	MarkDispatched(ctx context.Context, id string) (bool, error)
	Finish(ctx context.Context, id string, tell func(context.Context, ...push.Event) error) (*push.Mailing, error)
	Retell(ctx context.Context, m *push.Mailing, tell func(context.Context, ...push.Event) error) error
	ExpireTokens(ctx context.Context, limit int) (int, []push.Event, error)
	OwedEvents(ctx context.Context, limit int) ([]push.Event, error)
	Told(ctx context.Context, events ...push.Event) error
	StalledUnflags(ctx context.Context) ([]string, error)
}

type publisher interface {
	Dispatch(ctx context.Context, orders ...push.DispatchOrder) error
	Deliver(ctx context.Context, refs ...push.Ref) error
	Events(ctx context.Context, events ...push.Event) error
}

const (
	// lost is how long after its time a start that has not happened counts as
	// lost, and orphaned how long after its cut a batch that nobody has touched
	// does: Pub/Sub usually delivers within a second, and a batch that merely
	// waits its turn is at most two minutes behind its cut.
	lost     = 30 * time.Second
	orphaned = 3 * time.Minute
	// soon is how early a waiting batch is published; deliver waits for the rest.
	soon = 5 * time.Second
	// swept is how many customers or events one look takes, and sweeping how long
	// a tick goes on looking: what is left over the next one finds.
	swept    = 500
	sweeping = 15 * time.Second
)

type ticker struct {
	Deps
	said atomic.Int64 // when a round that did nothing was last told of, Unix seconds
}

// New makes the handler of tick's push subscription.
func New(d Deps) http.Handler {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	t := &ticker{Deps: d}
	return queue.Receive(t.receive)
}

func (t *ticker) receive(ctx context.Context, _ queue.Message) queue.Settlement {
	began := t.Now()
	n, err := t.round(ctx)
	if err != nil {
		// The next minute brings the next tick; a redelivery would only pile up.
		t.Log.ErrorContext(ctx, "tick failed in part", "error", err)
	}
	t.Log.Log(ctx, t.level(n, began), "tick done", "started", n.started, "republished", n.republished, "expired", n.expired,
		"completed", n.completed, "milliseconds", t.Now().Sub(began)/time.Millisecond)
	return queue.Ack
}

// counts is what one tick did.
type counts struct{ started, republished, expired, completed int }

// quiet is how long rounds that do nothing are told of once. In the cloud, where
// an alert waits for the line, there is one a minute; a laptop's is each second.
const quiet = 30 * time.Second

// level is that of a round's line.
func (t *ticker) level(n counts, at time.Time) slog.Level {
	last := t.said.Load()
	if n == (counts{}) && at.Sub(time.Unix(last, 0)) < quiet {
		return slog.LevelDebug
	}
	t.said.Store(at.Unix())
	return slog.LevelInfo
}

// round looks after every active mailing, then after the customers. A fault
// with one does not keep the others waiting.
func (t *ticker) round(ctx context.Context) (n counts, err error) {
	mailings, err := t.Store.Active(ctx)
	faults := []error{err}
	for _, m := range mailings {
		if err := t.mailing(ctx, m, &n); err != nil && !push.IsConflict(err) {
			faults = append(faults, fmt.Errorf("mailing %s: %w", m.ID, err))
		}
	}
	return n, errors.Join(append(faults, t.unflags(ctx), t.expire(ctx), t.owed(ctx))...)
}

func (t *ticker) mailing(ctx context.Context, m *push.Mailing, n *counts) error {
	now := t.Now()
	if m.Totals != nil {
		return t.Store.Retell(ctx, m, t.Queue.Events)
	}
	if !m.State.Final() && !m.ExpiresAt.After(now) {
		ended, err := t.Store.End(ctx, m.ID, push.Expired, "")
		if err != nil {
			return err
		}
		t.Log.InfoContext(ctx, "mailing state", "mailing", m.ID, "from", m.State, "to", ended.State)
		n.expired++
		m = ended
	}
	switch {
	case m.State.Final():
		return t.batches(ctx, m, n)
	case m.State == push.Sending:
		if err := t.shards(ctx, m, n); err != nil {
			return err
		}
		return t.batches(ctx, m, n)
	case m.State == push.Scheduled && !m.StartAt.After(now), m.State == push.Accepted && now.Sub(m.StartAt) > lost:
		n.started++
		return t.Queue.Dispatch(ctx, push.DispatchOrder{Mailing: m.ID, Shard: push.Start})
	}
	return nil
}

// shards asks for the shards that no dispatch call has.
func (t *ticker) shards(ctx context.Context, m *push.Mailing, n *counts) error {
	open, err := t.Store.OpenShards(ctx, m.ID)
	if err != nil {
		return err
	}
	var orders []push.DispatchOrder
	for _, sh := range open {
		if !sh.Busy.After(t.Now()) && t.Now().Sub(m.StartedAt) > lost {
			orders = append(orders, push.DispatchOrder{Mailing: m.ID, Shard: sh.Number})
		}
	}
	if len(open) == 0 && !m.Dispatched {
		if m.Dispatched, err = t.Store.MarkDispatched(ctx, m.ID); err != nil {
			return err
		}
	}
	n.republished += len(orders)
	return t.Queue.Dispatch(ctx, orders...)
}

// batches publishes what nobody works on and is due, and finishes the mailing
// when there is nothing left.
func (t *ticker) batches(ctx context.Context, m *push.Mailing, n *counts) error {
	open, err := t.Store.OpenBatches(ctx, m.ID)
	if err != nil {
		return err
	}
	if len(open) == 0 && m.Finishable() {
		done, err := t.Store.Finish(ctx, m.ID, t.Queue.Events)
		if done != nil {
			t.Log.InfoContext(ctx, "mailing state", "mailing", m.ID, "from", m.State, "to", done.State)
			n.completed++
		}
		return err
	}
	var refs []push.Ref
	for _, b := range open {
		if due(b, m.State.Final(), t.Now()) {
			refs = append(refs, b.Ref)
		}
	}
	n.republished += len(refs)
	return t.Queue.Deliver(ctx, refs...)
}

// due reports whether a batch is to be published again: nobody has it, and it
// has waited long enough, was never picked up, or its mailing has ended.
func due(b store.OpenBatch, ended bool, now time.Time) bool {
	switch {
	case b.LeaseUntil.After(now):
		return false
	case ended, !b.LeaseUntil.IsZero():
		return true
	case !b.NotBefore.IsZero():
		return !b.NotBefore.After(now.Add(soon))
	}
	return now.Sub(b.CutAt) > orphaned
}

// expire marks the tokens whose day has come.
func (t *ticker) expire(ctx context.Context) error {
	for until := t.Now().Add(sweeping); ; {
		n, events, err := t.Store.ExpireTokens(ctx, swept)
		if err := errors.Join(err, queue.TellNow(ctx, t.Queue, t.Store, events)); err != nil {
			return err
		}
		if n < swept || t.Now().After(until) {
			return nil
		}
	}
}

// owed publishes events of customers whose writer died before it could.
func (t *ticker) owed(ctx context.Context) error {
	for until := t.Now().Add(sweeping); ; {
		events, err := t.Store.OwedEvents(ctx, swept)
		if err := errors.Join(err, queue.TellNow(ctx, t.Queue, t.Store, events)); err != nil {
			return err
		}
		if len(events) < swept || t.Now().After(until) {
			return nil
		}
	}
}
