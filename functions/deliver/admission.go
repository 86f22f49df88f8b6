package deliver

import (
	"context"
	"fmt"
	"time"

	"carillon.example/shared/push"
)

const (
	// maxCrashes limits two counts. A target is given up after so many calls that crashed while
	// it may have been under way, because the phone may have got the message each time. The
	// rest of a batch is closed after so many crashes in a row, if the last one stored no
	// result. A call has crashed if it ended without releasing the lease.
	maxCrashes = 5
	// suspectAfter is how many crashes make a batch a suspect. An instance works on
	// one suspect at a time: a batch that crashes its instance would otherwise count
	// as a crash of every batch beside it, again and again.
	suspectAfter = 2
	// minTries is how many calls in a row must have failed before a dead letter
	// closes a batch. Deliveries of its message that did not lead to a lease do not
	// count.
	minTries = 5
	// deadLetterWait is how long a batch waits after a dead letter that does not
	// close it.
	deadLetterWait = time.Minute
	// suspectWait is how long a suspect waits while another one is being worked on.
	suspectWait = 10 * time.Second
)

// An admission is what a call does with a batch that is not settled.
type admission int

const (
	admissionDeliver  admission = iota
	admissionLeave              // nothing: another call has the lease, or the batch has to wait. tick or a resume publishes it again
	admissionPostpone           // store a later time: a dead letter of a batch that too few calls tried
	admissionGiveUp             // close the rest: the batch was tried often enough
)

// admitBatch reads the mailing of a batch, and decides what the call does with the batch. The
// result belongs to the caller.
//
// A call that delivers uses the state that the calls of this instance share. It is at most
// stateAge old, as it is for a call that is sending already. Every other decision needs the
// current state: a resume, a cancellation or an expiry publishes each open batch once. A call that
// still saw the state before it would leave its batch, and tick would publish it again only
// minutes later.
func (d *deliverer) admitBatch(ctx context.Context, b *push.Batch, deadLetter bool) (*push.Mailing, admission, error) {
	m, err := d.states.getState(ctx, b.Mailing)
	if err != nil {
		return nil, admissionLeave, err
	}
	decision := decideAdmission(m, b, d.Now(), deadLetter)

	if decision != admissionDeliver || m.State != push.Sending || m.Hours != nil {
		if m, err = d.states.readState(ctx, b.Mailing); err != nil {
			return nil, admissionLeave, err
		}
		decision = decideAdmission(m, b, d.Now(), deadLetter)
	}

	own := *m // a delivery notes in it that the payload is proven
	return &own, decision, nil
}

// decideAdmission decides what a call does with a batch.
func decideAdmission(m *push.Mailing, b *push.Batch, now time.Time, deadLetter bool) admission {
	ended := stopReasonOf(m, now).reason == stopEnded
	switch {
	case b.Lease.Until.After(now), !b.WaitUntil.IsZero():
		return admissionLeave
	case !ended && (m.State == push.Paused && len(b.HeldFlags) == 0 || b.NotBefore.Sub(now) > dueSoon):
		return admissionLeave
	case isCrashLoop(b):
		return admissionGiveUp
	case deadLetter && b.Tries >= minTries && len(b.PendingTargets()) > 0:
		return admissionGiveUp // a batch that only owes flags is tried again, because that sends nothing
	case deadLetter && !ended:
		return admissionPostpone
	}

	return admissionDeliver
}

// isSuspect reports whether the batch may be the cause of crashes.
func isSuspect(b *push.Batch) bool { return max(b.CountCrashes(), b.MostCrashes()) >= suspectAfter }

// isCrashLoop reports whether maxCrashes calls crashed in a row and the last one stored no
// result, so that the next call would probably crash, too.
func isCrashLoop(b *push.Batch) bool { return b.CountCrashes() >= maxCrashes && !b.Saved }

// postponeBatch stores when tick publishes the batch again. PublishedAt is cleared,
// because this call answers the message.
func (d *deliverer) postponeBatch(ctx context.Context, b *push.Batch, wait time.Duration) error {
	b.NotBefore, b.PublishedAt = d.Now().Add(wait), time.Time{}
	return d.Store.SaveBatch(ctx, b)
}

// giveUpBatch closes the rest of a batch that was tried often enough, without sending it:
// as failed, or with the result of its mailing if that has ended. If no target is pending,
// the calls crashed while they set flags, and these are given up.
func (d *deliverer) giveUpBatch(ctx context.Context, m *push.Mailing, b *push.Batch) (settled bool, err error) {
	reason := fmt.Sprintf("given up after %d calls in a row that failed; the log has their errors", b.Tries)
	crashed := isCrashLoop(b)
	if crashed {
		reason = fmt.Sprintf("given up after %d crashes: each time the instance stopped without an answer; it probably crashed or ran out of memory", b.CountCrashes())
	}
	x := newDelivery(d, m, b, d.Now())
	result := push.ResultFailed
	if ended := stopReasonOf(m, d.Now()); ended.reason == stopEnded {
		result = ended.result
	}
	x.stopWith(stop{reason: stopEnded, result: result})

	pending, owed := len(b.PendingTargets()), len(b.OwedFlags)
	b.Reason = reason
	x.closePending(result)
	if crashed && pending == 0 {
		x.dropOwedFlags()
	}
	b.Settled = len(b.OwedFlags) == 0
	x.releaseAfterSuccess()
	if err := x.saveResults(ctx); err != nil {
		return false, err
	}

	d.Log.ErrorContext(ctx, "batch given up", "mailing", b.Mailing, "batch", b.Batch, "leases", b.Leases,
		"closed", pending, "flags", owed-len(b.OwedFlags), "reason", reason)
	x.logBatch(ctx)
	d.notes.putNote(b, batchNote{})
	return b.Settled, nil
}

// closeUndecodable closes a batch whose document cannot be decoded.
func (d *deliverer) closeUndecodable(ctx context.Context, ref push.BatchRef, fault error) (settled bool, err error) {
	reason := "given up: the stored batch cannot be read"
	if err := d.Store.CloseUndecodableBatch(ctx, ref, reason); err != nil {
		return false, err
	}
	d.Log.ErrorContext(ctx, "batch given up", "mailing", ref.Mailing, "batch", ref.Batch, "reason", reason, "error", fault)
	return true, nil
}
