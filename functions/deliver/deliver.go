package deliver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"carillon.example/shared/cloud"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Deps are the dependencies and settings of deliver. Store, Queue and Sender are
// required.
type Deps struct {
	Store        dataStore
	Queue        publisher
	Sender       sender
	Log          *slog.Logger
	Projects     push.Projects   // those of Sender; the zero value: one
	CallTimeout  time.Duration   // the function's timeout; 0: a minute
	InvalidShare float64         // the breaker opens above this share of INVALID_ARGUMENT; 0: 0.3
	Stopping     context.Context // is done when the instance has to stop
	Now          func() time.Time
	Sleep        func(context.Context, time.Duration) error
}

// dataStore is what deliver needs of the store.
type dataStore interface {
	batchStore
	mailingStore
	targetStore
	evidenceStore
	plausibilityStore
	messageStore
}

// batchStore reads, leases and saves batches.
type batchStore interface {
	ReadBatch(ctx context.Context, ref push.BatchRef) (*push.Batch, error)
	LeaseBatch(ctx context.Context, b *push.Batch, l push.Lease) error
	SaveBatch(ctx context.Context, b *push.Batch) error
	CloseUndecodableBatch(ctx context.Context, ref push.BatchRef, reason string) error
}

// mailingStore reads mailings, and changes their states.
type mailingStore interface {
	ReadMailingHeader(ctx context.Context, id string) (*push.Mailing, error)
	PauseMailingForProject(ctx context.Context, id, project string, reason push.PauseReason, detail string) (*push.Mailing, error)
	EndMailing(ctx context.Context, id string, s push.State, refusal string) (*push.Mailing, error)
	MarkPayloadProven(ctx context.Context, id string) error
	FreezeMailing(ctx context.Context, id string) (*push.Mailing, error)
	MarkCompletedPublished(ctx context.Context, id string) error
}

// targetStore checks and flags the tokens of targets.
type targetStore interface {
	RecheckTargets(ctx context.Context, m *push.Mailing, targets []push.Target) (owed []bool, broken []string, err error)
	FlagTokens(ctx context.Context, flags []store.Flag) []store.FlagResult
}

// publisher is what deliver needs of the queue.
type publisher interface {
	PublishEvents(ctx context.Context, events ...push.Event) error
}

// sender sends messages to FCM, and asks FCM for proofs.
type sender interface {
	Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer))
	ProvePayloadIn(ctx context.Context, project string, m *fcm.Message) fcm.Answer
}

const (
	leaseMargin = 15 * time.Second // how long after the end of the call its lease ends
	dueSoon     = 5 * time.Second  // a call waits for a batch that is due within this time

	outdatedAfter   = 5 * time.Minute // the customers of an older batch are read again before it is sent
	checkAgainAfter = time.Minute     // and again, for targets that still wait
)

// deliverer has what all calls of an instance share. Each of its parts has a lock of
// its own.
type deliverer struct {
	Deps
	payloads   *payloadCache
	settings   *settingsCache
	states     *stateCache
	calls      *callsByMailing
	notes      *noteStore
	groups     *groupStore
	platforms  *platformHealth
	quarantine chan struct{} // has room for one call with a suspect
}

// New makes the handler of deliver's push subscription and of its dead letter
// subscription.
func New(d Deps) http.Handler {
	x := newDeliverer(d)
	return queue.Receive(x.receiveFromPubSub)
}

func newDeliverer(d Deps) *deliverer {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Sleep == nil {
		d.Sleep = cloud.Sleep
	}
	if d.Stopping == nil {
		d.Stopping = context.Background()
	}

	d.CallTimeout = cmp.Or(d.CallTimeout, time.Minute)
	d.InvalidShare = cmp.Or(d.InvalidShare, 0.3)
	return &deliverer{
		Deps: d, payloads: newPayloadCache(), settings: &settingsCache{store: d.Store, now: d.Now}, states: newStateCache(d.Store, d.Now), calls: newCallsByMailing(), notes: newNoteStore(),
		groups: newGroupStore(d.Projects), platforms: newPlatformHealth(),
		quarantine: make(chan struct{}, 1),
	}
}

// receiveFromPubSub answers Pub/Sub for a message that names a batch, or a message to
// one customer.
func (d *deliverer) receiveFromPubSub(ctx context.Context, m queue.Message) queue.Reply {
	ref, message, ok := decodeRef(m.Data)
	switch {
	case !ok:
		d.Log.ErrorContext(ctx, "the message names no batch", "pubsub_message_id", m.ID)
		return replyFor(m, errNoBatch)
	case message.Message != "":
		return d.receiveSingleMessage(ctx, message, m)
	}

	err := d.deliverAndFinish(ctx, ref, m.DeadLetterOf())
	reply := replyFor(m, err)
	if err != nil {
		d.Log.WarnContext(ctx, "batch not delivered", "mailing", ref.Mailing, "batch", ref.Batch,
			"delivery_attempt", m.Attempt, "redelivered", reply == queue.Redeliver, "error", err)
	}
	return reply
}

// deliverAndFinish works on one batch as far as possible. A batch that has to wait is stored
// with its time, which is not an error. An error means a fault of Carillon or of
// something it depends on. deadLetterOf is the subscription that gave the message up,
// "" for none. The last call of a mailing to end checks whether the mailing has ended.
func (d *deliverer) deliverAndFinish(ctx context.Context, ref push.BatchRef, deadLetterOf string) (err error) {
	settled := false
	d.calls.beginCall(ref.Mailing)
	defer func() {
		if !d.calls.endCall(ref.Mailing, settled) {
			return
		}
		// A context of its own: the mailing has to be finished even if the call's context is
		// done. The lease ends leaseMargin after the call.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
		defer cancel()
		if failed := d.finishMailing(ctx, ref.Mailing); failed != nil {
			// Not the error of the batch: if that were ErrConflict, the message would be
			// acknowledged, and nobody would finish the mailing.
			err = failed
		}
	}()

	settled, err = d.deliverBatch(ctx, ref, deadLetterOf)
	return err
}

// deliverBatch reads the batch and its mailing, and decides whether to deliver it. It reports
// whether the batch is settled.
func (d *deliverer) deliverBatch(ctx context.Context, ref push.BatchRef, deadLetterOf string) (settled bool, err error) {
	b, err := d.Store.ReadBatch(ctx, ref)
	if errors.Is(err, store.ErrUndecodable) && deadLetterOf != "" {
		return d.closeUndecodable(ctx, ref, err)
	}
	if err != nil {
		return false, err
	}
	if b.Settled {
		return true, nil // the call that settled it may have crashed before it finished the mailing
	}
	m, admitted, err := d.admitBatch(ctx, b, deadLetterOf != "")
	if err != nil {
		return false, err
	}

	if deadLetterOf != "" {
		d.Log.ErrorContext(ctx, "dead letter", "mailing", ref.Mailing, "batch", ref.Batch, "subscription", deadLetterOf,
			"leases", b.Leases, "tries", b.Tries)
	}

	switch admitted {
	case admissionLeave:
		return false, nil
	case admissionPostpone:
		return false, d.postponeBatch(ctx, b, deadLetterWait)
	case admissionGiveUp:
		return d.giveUpBatch(ctx, m, b)
	}

	return d.leaseAndDeliver(ctx, m, b)
}

// leaseAndDeliver leases the batch and delivers it.
func (d *deliverer) leaseAndDeliver(ctx context.Context, m *push.Mailing, b *push.Batch) (settled bool, err error) {
	// One suspect at a time in an instance: the channel has room for one call.
	if isSuspect(b) {
		select {
		case d.quarantine <- struct{}{}:
			defer func() { <-d.quarantine }()
		default:
			return false, d.postponeBatch(ctx, b, suspectWait) // another suspect is being worked on
		}
	}

	// The lease is longer than the call, so that no other call sends while this one may still
	// send. If another call was first, LeaseBatch returns ErrConflict.
	callEnds := d.Now().Add(d.CallTimeout)
	if err := d.Store.LeaseBatch(ctx, b, push.Lease{Owner: newOwner(), Until: callEnds.Add(leaseMargin)}); err != nil {
		return false, err
	}
	err = newDelivery(d, m, b, callEnds).runOrAbandon(ctx)
	return err == nil && b.Settled, err
}

// newOwner makes a random id for one call's lease. An instance may get copies of the
// same message at the same time, and each call has to recognise its own lease.
func newOwner() string { return rand.Text() }

// finishMailing ends the mailing if nothing of it is left to do.
func (d *deliverer) finishMailing(ctx context.Context, mailing string) error {
	done, err := queue.FinishMailing(ctx, d.Store, d.Queue, mailing)
	if done != nil {
		d.Log.InfoContext(ctx, "mailing state", "mailing", mailing, "to", done.State)
	}
	return err
}
