package deliver

import (
	"context"
	"errors"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A delivery is one call's work on one leased batch. It has four phases, in
// this order; docs/deliver.md draws them.
//
//	prepareBatch   give up targets after five crashes, cancel targets of an outdated
//	               batch, compile the payload, prove it
//	sendTargets    pass pending targets to the sender, save results as answers come
//	resolveAnswers record that the payload is proven, pause or resume platforms, decide
//	               what INVALID_ARGUMENT answers mean
//	commitResults  close what is left, save, pause, weigh held flags, flag, settle or
//	               release the batch
//
// A stop before sendTargets leads straight to commitResults. A stop in sendTargets does not
// skip resolveAnswers, because the answers that came need their results.
//
// Its embedded fields have the rest: deliverer what all calls of the instance share, with
// Deps, and results the bookkeeping of the batch.
type delivery struct {
	*deliverer
	results
	mailing       *push.Mailing
	variants      payloadSet            // what the targets get; set by prepare, nil if nothing is to be sent
	answersBefore map[tokenGroup][]bool // answers that this instance got shortly before the call, by group
	note          batchNote             // what this instance remembers of the batch
	started       time.Time
	deadline      time.Time // no message is sent after it
	callEnds      time.Time // end of the call; the lease ends leaseMargin later
}

// newDelivery makes the delivery of a leased batch. giveUpBatch makes one without a lease, only
// to close the targets. No message is sent after its
// deadline: some time before the call ends, when the mailing expires, or when the hours
// end.
func newDelivery(d *deliverer, m *push.Mailing, b *push.Batch, callEnds time.Time) *delivery {
	deadline := callEnds.Add(-min(leaseMargin, d.CallTimeout/3))
	if m.ExpiresAt.Before(deadline) {
		deadline = m.ExpiresAt
	}
	if p := m.NextPeriodFor(b.Zone, d.Now()); !p.Closes.IsZero() && p.Closes.Before(deadline) {
		deadline = p.Closes
	}

	// results.due is the map of the note: what results writes there, putNote keeps.
	note := d.notes.getNote(b.BatchRef)
	return &delivery{
		deliverer:     d,
		results:       results{batch: b, now: d.Now, invalidShare: d.InvalidShare, projects: d.Projects, due: note.due},
		mailing:       m,
		note:          note,
		answersBefore: map[tokenGroup][]bool{},
		started:       d.Now(),
		deadline:      deadline,
		callEnds:      callEnds,
	}
}

// runOrAbandon works on the batch until the call has to end. If a phase fails, the results so
// far are saved and the lease is released, so that a redelivery can continue at once.
func (d *delivery) runOrAbandon(ctx context.Context) error {
	defer func() { d.notes.putNote(d.batch, d.note) }()
	if err := d.runPhases(ctx); err != nil {
		return errors.Join(err, d.abandonBatch(ctx))
	}
	return nil
}

// runPhases runs the four phases in their order.
func (d *delivery) runPhases(ctx context.Context) error {
	d.stopWith(stopReasonOf(d.mailing, d.Now()))
	d.stopIfOutsideHours()

	if !d.isStopped() && len(d.batch.PendingTargets()) > 0 {
		if err := d.prepareBatch(ctx); err != nil {
			return err
		}
	}
	if !d.isStopped() && d.variants != nil {
		if err := d.sendTargets(ctx); err != nil {
			return err
		}
		if err := d.resolveAnswers(ctx); err != nil {
			return err
		}
	}

	return d.commitResults(ctx)
}

// stopReasonOf returns why nothing of a mailing may be sent, or no stop.
func stopReasonOf(m *push.Mailing, now time.Time) stop {
	switch {
	case m.State == push.Cancelled:
		return stop{reason: stopEnded, result: push.ResultCancelled}
	case m.State == push.Refused:
		return stop{reason: stopEnded, result: push.ResultRefused}
	case m.State == push.Expired || !m.ExpiresAt.After(now):
		return stop{reason: stopEnded, result: push.ResultExpired}
	case m.State.Final(): // completed: a target that is still pending is not sent
		return stop{reason: stopEnded, result: push.ResultCancelled}
	case m.State == push.Paused:
		return stop{reason: stopPaused}
	}

	return stop{}
}

// stopIfOutsideHours stops the call if it is outside the hours of the mailing, by the clock of
// the batch's time zone. If there are none any more before the mailing expires, the targets
// expire now. A call that comes a moment too early waits for the hours.
func (d *delivery) stopIfOutsideHours() {
	if d.mailing.Hours == nil || d.isStopped() {
		return
	}
	now := d.Now()
	switch p := d.mailing.NextPeriodFor(d.batch.Zone, now); {
	case p.Opens.IsZero():
		d.stopWith(stop{reason: stopEnded, result: push.ResultExpired})
	case p.Opens.Sub(now) > dueSoon:
		d.stopWith(stop{reason: stopOutsideHours, until: p.Opens})
	case p.Opens.After(now):
		d.batch.NotBefore = p.Opens // waitUntilDue (send.go) waits until then
	}
}

// untilDeadline returns a context that is done when no message may be sent any more: the
// lease is about to end, or the instance has to stop. FCM is asked with this context, and
// results are saved with that of the call.
func (d *delivery) untilDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	// d.Now may be a test's clock; a context uses the machine's.
	out, cancel := context.WithDeadline(ctx, time.Now().Add(d.deadline.Sub(d.Now())))
	unregister := context.AfterFunc(d.Stopping, cancel)
	if d.Stopping.Err() != nil {
		cancel() // now: AfterFunc calls it in a goroutine, after which some messages may be sent
	}
	return out, func() { unregister(); cancel() }
}

// withTimeout runs a step with a timeout of its own.
func (d *delivery) withTimeout(ctx context.Context, limit time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return step(ctx)
}

// saveResults stores the results so far.
func (d *delivery) saveResults(ctx context.Context) error {
	d.batch.Saved = true
	return d.storeBatch(ctx)
}

// storeBatch stores the batch as it is.
func (d *delivery) storeBatch(ctx context.Context) error {
	if err := d.Store.SaveBatch(ctx, d.batch); err != nil {
		return err
	}
	d.unsaved = 0
	return nil
}

// saveUnsavedResults stores the results so far, if any is not stored yet. Call it before any
// step that may take long.
func (d *delivery) saveUnsavedResults(ctx context.Context) error {
	if d.unsaved == 0 {
		return nil
	}
	return d.saveResults(ctx)
}

// abandonBatch saves the results of a call that failed and releases the lease. If another
// call has the lease by now, nothing is written. It works also if ctx is done, which may be
// why the call failed: the lease is valid for leaseMargin after the call.
func (d *delivery) abandonBatch(ctx context.Context) error {
	d.releaseAfterError()
	if err := d.withTimeout(context.WithoutCancel(ctx), leaseMargin, d.saveResults); !store.IsRevisionConflict(err) {
		return err
	}
	return nil
}
