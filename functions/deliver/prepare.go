package deliver

import (
	"context"
	"fmt"
	"slices"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// prepareBatch gives up the targets that too many calls crashed with, cancels the targets
// of an outdated batch that must not be sent any more, compiles the payload, and
// proves it if it is not proven yet.
func (d *delivery) prepareBatch(ctx context.Context) error {
	d.giveUpTargets(ctx)
	if d.Now().Sub(d.batch.CreatedAt) > outdatedAfter {
		if err := d.cancelOutdated(ctx); err != nil {
			return err
		}
	}

	variants, err := d.payloads.getPayloads(d.mailing)
	if err != nil {
		return d.refuseMailing(ctx, err.Error())
	}
	d.variants = variants

	if d.mailing.Proven || d.mailing.Single { // a single message is proven only if an answer has to be explained
		return nil
	}
	return d.proveFirst(ctx)
}

// giveUpTargets closes targets that too many calls crashed with, without sending
// them. The other targets of the batch go on.
func (d *delivery) giveUpTargets(ctx context.Context) {
	closed, reason := 0, "" // the reason of the batch may be that of other targets
	for _, i := range d.batch.PendingTargets() {
		if d.crashesWith(i) < maxCrashes {
			continue
		}
		reason = fmt.Sprintf("given up after %d crashes: each time the instance stopped without an answer while this message may have been under way; it probably crashed or ran out of memory", d.crashesWith(i))
		d.setResultWithReason(i, push.ResultFailed, reason)
		closed++
	}
	if closed > 0 {
		d.Log.ErrorContext(ctx, "targets given up", "mailing", d.batch.Mailing, "batch", d.batch.Batch, "leases", d.batch.Leases,
			"closed", closed, "reason", reason)
	}
}

// cancelOutdated cancels targets whose token moved, was erased or flagged, or whose
// customer opted out since the batch was created. It reads the customers of the
// targets that this call sends, except those that were read within the last minute.
func (d *delivery) cancelOutdated(ctx context.Context) error {
	now := d.Now()
	unchecked := slices.DeleteFunc(d.readyTargets(now.Add(dueSoon)), func(i int) bool {
		at, ok := d.note.checked[i]
		return ok && now.Sub(at) < checkAgainAfter
	})
	if len(unchecked) == 0 {
		return nil
	}

	targets := make([]push.Target, len(unchecked))
	for k, i := range unchecked {
		targets[k] = d.batch.Targets[i]
	}

	owed, broken, err := d.Store.RecheckTargets(ctx, d.mailing, targets)
	if err != nil {
		return err
	}

	for _, key := range broken {
		d.Log.ErrorContext(ctx, "customer cannot be decoded", "customer", key, "mailing", d.mailing.ID, "batch", d.batch.Batch)
	}

	for k, i := range unchecked {
		d.note.checked[i] = now
		if !owed[k] {
			d.setResult(i, push.ResultCancelled)
		}
	}

	return nil
}

// refuseMailing ends a mailing whose payload FCM does not accept.
func (d *delivery) refuseMailing(ctx context.Context, reason string) error {
	if _, err := d.Store.EndMailing(ctx, d.mailing.ID, push.Refused, reason); err != nil && !push.IsStateConflict(err) {
		return err
	}
	d.setReason(reason)
	d.stopWith(stop{reason: stopEnded, result: push.ResultRefused})
	return nil
}

// proveFirst proves the payload of a mailing that was created while FCM was out of
// reach, before its first batch is sent; of a mailing with variants, each of them. It
// does so in the default project, for which Mailing.Proven stands, and in the projects of
// the batch.
func (d *delivery) proveFirst(ctx context.Context) error {
	proven := true
	for _, project := range d.projectsToProve() {
		ok, err := d.proveVariants(ctx, project)
		if err != nil || d.isStopped() {
			return err
		}
		proven = proven && ok
	}
	if !proven {
		return nil
	}
	return d.markProven(ctx)
}

// projectsToProve lists the default project, and those of the pending targets.
func (d *delivery) projectsToProve() []string {
	projects := []string{""}
	for _, i := range d.batch.PendingTargets() {
		if project := d.projectOf(i); !slices.Contains(projects, project) {
			projects = append(projects, project)
		}
	}
	return projects
}

// proveVariants proves each payload of the mailing in a project, and reports whether all
// are proven. It stops the sending if FCM does not accept one of them.
func (d *delivery) proveVariants(ctx context.Context, project string) (proven bool, err error) {
	out, cancel := d.untilDeadline(ctx)
	defer cancel()

	proven = true
	for _, p := range d.variants {
		proof := d.provePayload(out, project, p.sample)
		switch proof.Class {
		case fcm.Accepted:
		case fcm.Waiting:
			d.stopWith(stop{reason: stopUnproven, until: proof.NotBefore})
			return false, nil
		case fcm.Misconfigured:
			d.stopWith(stop{reason: stopCredentials, answer: proof, project: project})
			return false, nil
		default:
			if !proof.Provisional {
				return false, d.refuseMailing(ctx, d.Projects.WithProject(project, p.withVariantName(proof.Text)))
			}
			proven = false
		}
	}

	return proven, nil
}

// markProven records that FCM accepts the payload. Results are saved first, because
// all batches of the mailing may write the mailing at the same moment.
func (d *delivery) markProven(ctx context.Context) error {
	if err := d.saveUnsavedResults(ctx); err != nil {
		return err
	}
	d.mailing.Proven = true
	return d.Store.MarkPayloadProven(ctx, d.mailing.ID)
}
