package deliver

import (
	"context"
	"time"

	"carillon.example/shared/push"
)

// commit stores what the call came to: it closes what is left of a mailing that
// has ended, pauses one that our credentials stopped, flags invalid tokens, and
// settles the batch or gives it back. Results, and the flags they owe, are saved
// before anything else is done about them.
func (d *delivery) commit(ctx context.Context) error {
	// The end of the call must not keep its results from being saved.
	ctx = context.WithoutCancel(ctx)

	d.closeEnded()
	if len(d.batch.OwedFlags) > 0 || d.stop.reason == stopCredentials {
		if err := d.within(ctx, leaseMargin, d.saveUnsaved); err != nil {
			return err
		}
	}
	if d.stop.reason == stopCredentials {
		if err := d.within(ctx, leaseMargin, d.pause); err != nil {
			return err
		}
	}

	if err := d.within(ctx, d.callEnds.Sub(d.Now()), d.weigh); err != nil {
		return err
	}
	d.dropHeld(ctx)
	if err := d.flagOwed(ctx); err != nil {
		return err
	}

	d.batch.Settled = d.settled()
	d.release(true)
	if err := d.within(ctx, leaseMargin, d.save); err != nil {
		return err
	}
	d.report(ctx)
	return nil
}

// within runs a step with a time of its own.
func (d *delivery) within(ctx context.Context, limit time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return step(ctx)
}

// closeEnded closes the targets that are left of a mailing that has ended.
func (d *delivery) closeEnded() {
	switch {
	case d.stop.reason == stopEnded:
		d.closePending(d.stop.result)
	case !d.mailing.ExpiresAt.After(d.Now()):
		d.closePending(push.ResultExpired)
	}
}

// pause pauses the mailing because of our own credentials.
func (d *delivery) pause(ctx context.Context) error {
	return d.pauseFor(ctx, push.PausedCredentials, d.stop.answer.Text)
}

// pauseFor pauses the mailing for a reason that an operator has to look at.
func (d *delivery) pauseFor(ctx context.Context, reason push.PauseReason, detail string) error {
	m, err := d.Store.PauseFor(ctx, d.mailing.ID, reason, detail)
	if push.IsConflict(err) {
		return nil // another batch has paused it, or it has ended
	}
	if err != nil {
		return err
	}
	d.Log.ErrorContext(ctx, "mailing state", "mailing", d.mailing.ID, "from", m.PausedFrom, "to", m.State, "reason", reason, "detail", detail)
	return nil
}

// report writes the one line that log-based metrics read of a batch.
func (d *delivery) report(ctx context.Context) {
	t := push.TallyOf(d.batch.Results)
	d.Log.InfoContext(ctx, "batch finished", "mailing", d.mailing.ID, "batch", d.batch.Batch, "attempt", d.batch.Attempts,
		"milliseconds", d.Now().Sub(d.started)/time.Millisecond, "settled", d.batch.Settled,
		"accepted", t[push.ResultAccepted], "invalid", t[push.ResultUnregistered]+t[push.ResultInvalidArgument],
		"refused", t[push.ResultRefused], "failed", t[push.ResultFailed], "expired", t[push.ResultExpired],
		"cancelled", t[push.ResultCancelled], "pending", len(d.batch.PendingTargets()))
}
