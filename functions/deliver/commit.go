package deliver

import (
	"context"
	"time"

	"carillon.example/shared/push"
)

// commitResults stores the outcome of the call. It closes the rest of a mailing that has
// ended, pauses a mailing whose credentials FCM refuses, flags invalid tokens, and
// settles the batch or releases its lease. Results and owed flags are saved before
// anything else is done about them, and so are decisions about flags.
func (d *delivery) commitResults(ctx context.Context) error {
	// Results are saved even if the call has ended: each step has a timeout of its own
	// instead, and the lease is still valid.
	ctx = context.WithoutCancel(ctx)

	d.closeEndedTargets()
	if len(d.batch.OwedFlags) > 0 || d.stop.reason == stopCredentials {
		if err := d.withTimeout(ctx, leaseMargin, d.saveUnsavedResults); err != nil {
			return err
		}
	}
	if d.stop.reason == stopCredentials {
		if err := d.withTimeout(ctx, leaseMargin, d.pauseForCredentials); err != nil {
			return err
		}
	}

	if err := d.withTimeout(ctx, d.callEnds.Sub(d.Now()), d.weighHeldFlags); err != nil {
		return err
	}
	d.dropLateFlags(ctx)
	// The decisions are stored before any flag is set. Otherwise a later call, with other
	// evidence, could hold or drop a flag that this call has set, and its event would never be
	// published.
	if len(d.decidedFlags()) > 0 {
		if err := d.withTimeout(ctx, leaseMargin, d.saveUnsavedResults); err != nil {
			return err
		}
	}
	if err := d.flagOwed(ctx); err != nil {
		return err
	}

	d.batch.Settled = d.isSettled()
	d.releaseAfterSuccess()
	if err := d.withTimeout(ctx, leaseMargin, d.saveResults); err != nil {
		return err
	}
	d.logBatch(ctx)
	return nil
}

// closeEndedTargets closes the remaining targets of a mailing that has ended.
func (d *delivery) closeEndedTargets() {
	switch {
	case d.stop.reason == stopEnded:
		d.closePending(d.stop.result)
	case !d.mailing.ExpiresAt.After(d.Now()):
		d.closePending(push.ResultExpired)
	}
}

// pauseForCredentials pauses the mailing because FCM refuses our credentials.
func (d *delivery) pauseForCredentials(ctx context.Context) error {
	return d.pauseMailing(ctx, d.stop.project, push.PausedCredentials, d.stop.answer.Text)
}

// pauseMailing pauses the mailing for a reason that an operator has to check. project is the
// one that the reason is about, "" for the default one. The first pause of a mailing stays.
func (d *delivery) pauseMailing(ctx context.Context, project string, reason push.PauseReason, detail string) error {
	detail = d.Projects.WithProject(project, detail)
	m, err := d.Store.PauseMailingForProject(ctx, d.mailing.ID, project, reason, detail)
	if push.IsStateConflict(err) {
		return nil // another batch has paused it, or it has ended
	}
	if err != nil {
		return err
	}
	d.Log.ErrorContext(ctx, "mailing state", "mailing", d.mailing.ID, "from", m.PausedFrom, "to", m.State, "reason", reason, "detail", detail)
	return nil
}

// logBatch writes the line of a call for a batch that the log-based metrics read. settled says
// whether the batch is finished. Its sums are those that the API shows of a mailing.
func (d *delivery) logBatch(ctx context.Context) {
	line, ids := "batch call ended", []any{"mailing", d.mailing.ID, "batch", d.batch.Batch}
	if d.mailing.Single {
		line, ids = "message call ended", []any{"message_id", d.mailing.ID, "age_milliseconds", d.Now().Sub(d.mailing.CreatedAt) / time.Millisecond}
	}

	totals := push.NewTokenTotals(int64(len(d.batch.Results)), push.TallyOf(d.batch.Results))
	var invalid int64
	for _, n := range totals.Invalid {
		invalid += n
	}

	d.Log.InfoContext(ctx, line, append(ids, "leases", d.batch.Leases,
		"milliseconds", d.Now().Sub(d.started)/time.Millisecond, "settled", d.batch.Settled,
		"accepted", totals.Accepted, "invalid", invalid, "refused", totals.Refused, "failed", totals.Failed,
		"expired", totals.Expired, "cancelled", totals.Cancelled, "pending", totals.Pending)...)
}
