package dispatch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"carillon.example/shared/cloud"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Deps is what dispatch works with; all but Log, Now and Sleep are needed.
type Deps struct {
	Store          ledger
	Queue          publisher
	Log            *slog.Logger
	QuotaPerMinute int           // FCM's, for the project
	CallTimeout    time.Duration // the function's time-out
	Now            func() time.Time
	Sleep          func(context.Context, time.Duration) error
}

// ledger is what dispatch needs of the store.
type ledger interface {
	Mailing(ctx context.Context, id string) (*push.Mailing, error)
	Peek(ctx context.Context, id string) (*push.Mailing, error)
	Accept(ctx context.Context, id string) (*push.Mailing, error)
	Start(ctx context.Context, id string, d push.Devices, shards []push.Shard) (*push.Mailing, error)
	End(ctx context.Context, id string, s push.State, refusal string) (*push.Mailing, error)
	Settings(ctx context.Context) (push.Settings, error)
	Audience(ctx context.Context, m *push.Mailing, attributes ...string) (store.Audience, error)
	Shard(ctx context.Context, mailing string, k int) (*push.Shard, error)
	OpenShards(ctx context.Context, mailing string) ([]store.OpenShard, error)
	Take(ctx context.Context, sh *push.Shard, until time.Time) error
	Cut(ctx context.Context, sh *push.Shard, batches []*push.Batch) error
	CountOpen(ctx context.Context, mailing string) (int, error)
	MarkDispatched(ctx context.Context, id string) (bool, error)
	Finish(ctx context.Context, id string, tell func(context.Context, ...push.Event) error) (*push.Mailing, error)
}

// publisher is what dispatch needs of the queue.
type publisher interface {
	Dispatch(ctx context.Context, orders ...push.DispatchOrder) error
	Deliver(ctx context.Context, refs ...push.Ref) error
	Events(ctx context.Context, events ...push.Event) error
}

type dispatcher struct{ Deps }

// New makes the handler of dispatch's push subscription.
func New(d Deps) http.Handler {
	x := newDispatcher(d)
	return queue.Receive(x.receive)
}

func newDispatcher(d Deps) *dispatcher {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Sleep == nil {
		d.Sleep = cloud.Sleep
	}
	d.CallTimeout = cmp.Or(d.CallTimeout, time.Minute)
	d.QuotaPerMinute = cmp.Or(d.QuotaPerMinute, 600_000)
	return &dispatcher{d}
}

func (d *dispatcher) receive(ctx context.Context, m queue.Message) queue.Settlement {
	var o push.DispatchOrder
	if err := json.Unmarshal(m.Data, &o); err != nil || o.Mailing == "" {
		d.Log.ErrorContext(ctx, "this is no order", "message", m.ID, "error", err)
		return queue.Redeliver
	}
	err := d.carryOut(ctx, o)
	if err == nil {
		return queue.Ack
	}
	how := settle(err)
	d.Log.WarnContext(ctx, "dispatch stopped", "mailing", o.Mailing, "shard", o.Shard, "attempt", m.Attempt, "again", how == queue.Redeliver, "error", err)
	return how
}

// settle is the table from outcome to acknowledge or redeliver: what somebody
// else does already, or nobody can do, is acknowledged.
func settle(err error) queue.Settlement {
	switch {
	case push.IsNotFound(err), push.IsConflict(err), errors.Is(err, store.ErrStale):
		return queue.Ack
	}
	return queue.Redeliver
}

func (d *dispatcher) carryOut(ctx context.Context, o push.DispatchOrder) error {
	if o.Shard == push.Start {
		return d.start(ctx, o.Mailing)
	}
	return d.cutShard(ctx, o)
}

// start records a mailing's shards, once, and publishes an order for each that
// is still to be cut.
func (d *dispatcher) start(ctx context.Context, id string) error {
	m, err := d.Store.Accept(ctx, id)
	if err != nil {
		return err
	}
	if !m.State.Final() && !m.ExpiresAt.After(d.Now()) {
		return d.expire(ctx, m)
	}
	if m.State == push.Accepted {
		if m, err = d.begin(ctx, id); err != nil {
			return err
		}
		d.Log.InfoContext(ctx, "mailing state", "mailing", id, "from", push.Accepted, "to", m.State, "shards", m.Shards)
	}
	if m.State != push.Sending {
		return nil
	}
	open, err := d.Store.OpenShards(ctx, id)
	if err != nil {
		return err
	}
	var orders []push.DispatchOrder
	for _, sh := range open {
		if !sh.Busy.After(d.Now()) {
			orders = append(orders, push.DispatchOrder{Mailing: id, Shard: sh.Number})
		}
	}
	return d.Queue.Dispatch(ctx, orders...)
}

func (d *dispatcher) expire(ctx context.Context, m *push.Mailing) error {
	if _, err := d.Store.End(ctx, m.ID, push.Expired, ""); err != nil {
		return err
	}
	_, err := d.Store.Finish(ctx, m.ID, d.Queue.Events)
	return err
}

func (d *dispatcher) begin(ctx context.Context, id string) (*push.Mailing, error) {
	m, err := d.Store.Mailing(ctx, id)
	if err != nil {
		return nil, err
	}
	selection := m.Devices
	if selection == "" {
		set, err := d.Store.Settings(ctx)
		if err != nil {
			return nil, err
		}
		selection = set.Devices
	}
	audience, err := d.Store.Audience(ctx, m)
	if err != nil {
		return nil, err
	}
	n, err := audience.Count(ctx)
	if err != nil {
		return nil, err
	}
	return d.Store.Start(ctx, id, selection, shards(m, n))
}
