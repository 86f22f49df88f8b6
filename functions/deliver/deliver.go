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
	Store        ledger
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

// ledger is what deliver needs of the store.
type ledger interface {
	batchStore
	mailingStore
	targetStore
	evidenceStore
	plausibilityStore
	messageStore
}

// batchStore has the batches.
type batchStore interface {
	Batch(ctx context.Context, ref push.BatchRef) (*push.Batch, error)
	LeaseBatch(ctx context.Context, b *push.Batch, l push.Lease) error
	SaveBatch(ctx context.Context, b *push.Batch) error
	CloseUndecodable(ctx context.Context, ref push.BatchRef, reason string) error
}

// mailingStore has the mailings.
type mailingStore interface {
	MailingHeader(ctx context.Context, id string) (*push.Mailing, error)
	PauseForProject(ctx context.Context, id, project string, reason push.PauseReason, detail string) (*push.Mailing, error)
	EndMailing(ctx context.Context, id string, s push.State, refusal string) (*push.Mailing, error)
	MarkProven(ctx context.Context, id string) error
	FreezeMailing(ctx context.Context, id string) (*push.Mailing, error)
	MarkCompletedPublished(ctx context.Context, id string) error
}

// targetStore has the customers of targets.
type targetStore interface {
	RecheckTargets(ctx context.Context, m *push.Mailing, targets []push.Target) (owed []bool, broken []string, err error)
	FlagTokens(ctx context.Context, flags []store.Flag) []store.FlagResult
}

type publisher interface {
	PublishEvents(ctx context.Context, events ...push.Event) error
}

type sender interface {
	Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer))
	ProvePayloadIn(ctx context.Context, project string, m *fcm.Message) fcm.Answer
}

const (
	leaseMargin = 15 * time.Second // a lease ends so long after the call
	nearby      = 5 * time.Second  // a call waits for a batch that is due within this time

	outdatedAfter   = 5 * time.Minute // the customers of an older batch are read again before it is sent
	checkAgainAfter = time.Minute     // and again, for targets that still wait
)

type deliverer struct {
	Deps
	payloads   *payloads
	settings   *settingsCache
	states     *states
	calls      *callsByMailing
	notes      *notes
	groups     *groups
	platforms  *platforms
	quarantine chan struct{} // has room for one call with a suspect
}

// New makes the handler of deliver's push subscription and of its dead letter
// subscription.
func New(d Deps) http.Handler {
	x := newDeliverer(d)
	return queue.Receive(x.receive)
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
		Deps: d, payloads: newPayloads(), settings: &settingsCache{store: d.Store, now: d.Now}, states: newStates(d.Store, d.Now), calls: newCalls(), notes: newNotes(),
		groups: newGroups(d.Projects), platforms: newPlatforms(),
		quarantine: make(chan struct{}, 1),
	}
}

func (d *deliverer) receive(ctx context.Context, m queue.Message) queue.Settlement {
	ref, message, ok := refOf(m.Data)
	switch {
	case !ok:
		d.Log.ErrorContext(ctx, "the message names no batch", "message", m.ID)
		return settlementFor(m, errNoBatch)
	case message.Message != "":
		return d.receiveMessage(ctx, message, m)
	}
	err := d.deliver(ctx, ref, m.DeadLetterOf())
	how := settlementFor(m, err)
	if err != nil {
		d.Log.WarnContext(ctx, "batch not delivered", "mailing", ref.Mailing, "batch", ref.Batch,
			"attempt", m.Attempt, "again", how == queue.Redeliver, "error", err)
	}
	return how
}

// deliver works on one batch as far as possible. A batch that has to wait is stored
// with its time and is no error. An error means a fault of Carillon or of something
// it depends on.
func (d *deliverer) deliver(ctx context.Context, ref push.BatchRef, gaveUp string) (err error) {
	settled := false
	d.calls.begin(ref.Mailing)
	defer func() {
		if !d.calls.end(ref.Mailing, settled) {
			return
		}
		// Finish the mailing even if the call's context is done.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
		defer cancel()
		if failed := d.finishMailing(ctx, ref.Mailing); failed != nil {
			err = failed // report this one: ErrConflict of the batch would acknowledge the message
		}
	}()

	settled, err = d.deliverBatch(ctx, ref, gaveUp)
	return err
}

// deliverBatch reports whether the batch is settled.
func (d *deliverer) deliverBatch(ctx context.Context, ref push.BatchRef, deadLetterOf string) (settled bool, err error) {
	b, err := d.Store.Batch(ctx, ref)
	if errors.Is(err, store.ErrUndecodable) && deadLetterOf != "" {
		return d.closeBroken(ctx, ref, err)
	}
	if err != nil {
		return false, err
	}
	if b.Settled {
		return true, nil // the call that settled it may have crashed before it finished the mailing
	}
	m, err := d.Store.MailingHeader(ctx, ref.Mailing)
	if err != nil {
		return false, err
	}

	if deadLetterOf != "" {
		d.Log.ErrorContext(ctx, "dead letter", "mailing", ref.Mailing, "batch", ref.Batch, "subscription", deadLetterOf,
			"attempts", b.Attempts, "tries", b.Tries)
	}
	switch decideAdmission(m, b, d.Now(), deadLetterOf != "") {
	case admitNot:
		return false, nil
	case admitPostpone:
		return false, d.postpone(ctx, b, deadLetterWait)
	case admitGiveUp:
		return d.giveUp(ctx, m, b)
	}
	return d.leaseAndDeliver(ctx, m, b)
}

// leaseAndDeliver leases the batch and delivers it.
func (d *deliverer) leaseAndDeliver(ctx context.Context, m *push.Mailing, b *push.Batch) (settled bool, err error) {
	if isSuspect(b) {
		select {
		case d.quarantine <- struct{}{}:
			defer func() { <-d.quarantine }()
		default:
			return false, d.postpone(ctx, b, suspectWait) // another suspect is being worked on
		}
	}

	callEnds := d.Now().Add(d.CallTimeout)
	if err := d.Store.LeaseBatch(ctx, b, push.Lease{Owner: newOwner(), Until: callEnds.Add(leaseMargin)}); err != nil {
		return false, err
	}
	err = newDelivery(d, m, b, callEnds).run(ctx)
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
