package dispatch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Deps are the dependencies and settings of dispatch. Store and Queue are required.
type Deps struct {
	Store          dataStore
	Queue          publisher
	Log            *slog.Logger
	QuotaPerMinute int           // quota of FCM for the project, in messages a minute
	CallTimeout    time.Duration // the function's timeout
	Now            func() time.Time
}

// dataStore is what dispatch needs of the store.
type dataStore interface {
	mailingStore
	audienceStore
	shardStore
	batchStore
	unflagStore
}

// mailingStore reads mailings, and changes their states.
type mailingStore interface {
	ReadMailingHeader(ctx context.Context, id string) (*push.Mailing, error)
	AcceptMailing(ctx context.Context, id string) (*push.Mailing, error)
	StartMailing(ctx context.Context, id string, selection push.DeviceSelection, hours *push.Window, shards []push.Shard) (*push.Mailing, error)
	EndMailing(ctx context.Context, id string, s push.State, refusal string) (*push.Mailing, error)
	FreezeMailing(ctx context.Context, id string) (*push.Mailing, error)
	MarkCompletedPublished(ctx context.Context, id string) error
}

// audienceStore is what dispatch needs to read and estimate audiences, and to pause a mailing
// whose audience is too large.
type audienceStore interface {
	ReadMailing(ctx context.Context, id string) (*push.Mailing, error)
	OpenAudience(ctx context.Context, m *push.Mailing, attributes ...string) (store.Audience, error)
	ReadSettings(ctx context.Context) (push.Settings, error)
	PauseMailingFor(ctx context.Context, id string, reason push.PauseReason, detail string) (*push.Mailing, error)
}

// shardStore has the shards, and creates batches.
type shardStore interface {
	ReadShard(ctx context.Context, mailing string, k int) (*push.Shard, error)
	ListOpenShards(ctx context.Context, mailing string) ([]store.OpenShard, error)
	LeaseShard(ctx context.Context, sh *push.Shard, until time.Time) error
	ReleaseShard(ctx context.Context, sh *push.Shard, continueAt, publishedAt time.Time) error
	CreateBatches(ctx context.Context, sh *push.Shard, batches []*push.Batch) error
	MarkMailingDispatched(ctx context.Context, id string) (bool, error)
}

// batchStore is what dispatch needs of open batches.
type batchStore interface {
	ListOpenBatches(ctx context.Context, mailing string) ([]store.OpenBatch, error)
	CountOpenTargets(ctx context.Context, mailing string) (int, error)
	MarkBatchPublished(ctx context.Context, b store.OpenBatch, at time.Time) (bool, error)
	CountAhead(ctx context.Context) (store.Ahead, error)
}

// publisher is what dispatch needs of the queue.
type publisher interface {
	PublishDispatch(ctx context.Context, messages ...push.DispatchMessage) error
	PublishBatches(ctx context.Context, lane push.Lane, refs ...push.BatchRef) error
	PublishWake(ctx context.Context, mailings ...string) error
	PublishEvents(ctx context.Context, events ...push.Event) error
}

// dispatcher has what all calls of an instance share.
type dispatcher struct {
	Deps
	ahead *aheadEstimate
}

// New makes the handler of dispatch's push subscription.
func New(d Deps) http.Handler {
	x := newDispatcher(d)
	return queue.Receive(x.receiveFromPubSub)
}

func newDispatcher(d Deps) *dispatcher {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	d.CallTimeout = cmp.Or(d.CallTimeout, time.Minute)
	d.QuotaPerMinute = cmp.Or(d.QuotaPerMinute, 600_000)
	return &dispatcher{d, &aheadEstimate{}}
}

// receiveFromPubSub answers Pub/Sub for a dispatch message.
func (d *dispatcher) receiveFromPubSub(ctx context.Context, m queue.Message) queue.Reply {
	var o push.DispatchMessage
	if err := json.Unmarshal(m.Data, &o); err != nil || o.Mailing == "" {
		d.Log.ErrorContext(ctx, "the message names no mailing", "pubsub_message_id", m.ID, "error", err)
		return queue.Redeliver
	}
	err := d.handleMessage(ctx, o)
	if err == nil {
		return queue.Ack
	}
	reply := replyFor(err)
	d.Log.WarnContext(ctx, "dispatch stopped", "mailing", o.Mailing, "shard", o.Shard, "delivery_attempt", m.Attempt, "redelivered", reply == queue.Redeliver, "error", err)
	return reply
}

// replyFor returns whether a message of Pub/Sub is acknowledged or redelivered, by the error
// of its call. If another call does the same work, or if no call can do it, the message is
// acknowledged.
func replyFor(err error) queue.Reply {
	switch {
	case push.IsNotFound(err), push.IsStateConflict(err), errors.Is(err, store.ErrConflict):
		return queue.Ack
	}
	return queue.Redeliver
}

// handleMessage does what a dispatch message asks for: to start a mailing, to continue
// an unflag or to continue a shard.
func (d *dispatcher) handleMessage(ctx context.Context, o push.DispatchMessage) error {
	switch o.Shard {
	case push.DispatchStart:
		return d.startMailing(ctx, o.Mailing)
	case push.DispatchUnflag:
		return d.unflagMailing(ctx, o.Mailing)
	}
	return d.workOnShard(ctx, o)
}
