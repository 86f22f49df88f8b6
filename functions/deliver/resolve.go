package deliver

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// proofsAtOnce is how many payloads are proven at the same time.
const proofsAtOnce = 16

// resolveAnswers does what needs all answers of the call: it records that the payload is
// proven, pauses or resumes platforms, and decides what the INVALID_ARGUMENT answers mean.
// Payloads that are not known to be good are proven. That takes time, so results are saved
// first.
func (d *delivery) resolveAnswers(ctx context.Context) error {
	if d.isProvenByAnswers() {
		if err := d.markProven(ctx); err != nil {
			return err
		}
	}
	if err := d.resolvePlatforms(ctx); err != nil {
		return err
	}
	if len(d.undecided) == 0 {
		return nil
	}

	breakerOpen := d.breakersByProject(ctx)
	d.decideAnswers(func(a answer) payloadEvidence { return d.evidenceOf(a, breakerOpen) })
	if len(d.undecided) == 0 {
		return nil
	}

	if err := d.saveUnsavedResults(ctx); err != nil {
		return err
	}
	proofs := d.proveUndecided(ctx)
	d.decideAnswers(func(a answer) payloadEvidence {
		e := d.evidenceOf(a, breakerOpen)
		proof := proofs[d.payloadKeyOf(a)]
		e.proof = &proof
		return e
	})
	return nil
}

// isProvenByAnswers reports whether an accepted token of the default project proves the
// payload of a mailing that is not proven: it has one payload, the same for every
// customer.
func (d *delivery) isProvenByAnswers() bool {
	return !d.mailing.Single && !d.mailing.Proven && len(d.variants) == 1 && !d.variants[0].isPersonal() && d.hasAccepted(0, "")
}

// breakersByProject reports whether the breaker is open, by project of the undecided answers.
func (d *delivery) breakersByProject(ctx context.Context) map[string]bool {
	open := map[string]bool{}
	for _, a := range d.undecided {
		project := d.projectOf(a.target)
		if _, known := open[project]; known {
			continue
		}
		if open[project] = d.breakerOpen(project); open[project] {
			d.Log.WarnContext(ctx, "breaker open", "mailing", d.mailing.ID, "batch", d.batch.Batch, "project", project,
				"share", float64(d.countUndecided(project))/float64(d.answered[project]))
		}
	}
	return open
}

// decideAnswers gives results to the undecided answers that can be decided, and keeps the
// others.
func (d *delivery) decideAnswers(of func(answer) payloadEvidence) {
	var rest []answer
	for _, a := range d.undecided {
		if d.recordCause(a, of(a)) {
			rest = append(rest, a)
		}
	}
	d.undecided = rest
}

// evidenceOf returns what is known about the payload of an undecided answer without asking FCM.
// What one project accepts says nothing about another: only the proof of the default
// project is recorded in the mailing.
func (d *delivery) evidenceOf(a answer, breakerOpen map[string]bool) payloadEvidence {
	t, project := d.batch.Targets[a.target], d.projectOf(a.target)
	if d.variants.payloadFor(t).isPersonal() {
		return payloadEvidence{breakerOpen: breakerOpen[project], accepted: d.hasAcceptedForCustomer(t.Customer, project)}
	}
	return payloadEvidence{breakerOpen: breakerOpen[project], proven: d.mailing.Proven && project == "", accepted: d.hasAccepted(t.Variant, project)}
}

// A payloadKey names a payload in a project: its variant, and of a personal one the
// customer.
type payloadKey struct {
	project  string
	variant  int
	customer string
}

// payloadKeyOf names the payload of an answer.
func (d *delivery) payloadKeyOf(a answer) payloadKey {
	t := d.batch.Targets[a.target]
	key := payloadKey{project: d.projectOf(a.target), variant: t.Variant}
	if d.variants.payloadFor(t).isPersonal() {
		key.customer = t.Customer
	}
	return key
}

// proveUndecided proves each payload of an undecided answer once.
func (d *delivery) proveUndecided(ctx context.Context) map[payloadKey]fcm.Answer {
	ctx, cancel := d.untilDeadline(ctx)
	defer cancel()

	sentTo := map[payloadKey]push.Target{} // by payload: one of its undecided targets
	for _, a := range d.undecided {
		sentTo[d.payloadKeyOf(a)] = d.batch.Targets[a.target]
	}

	proofs := make(map[payloadKey]fcm.Answer, len(sentTo))
	var mu sync.Mutex // guards proofs, which several goroutines fill
	var g errgroup.Group
	g.SetLimit(proofsAtOnce)
	for name, target := range sentTo {
		g.Go(func() error {
			proof := d.provePayloadOf(ctx, target)
			mu.Lock()
			defer mu.Unlock()
			proofs[name] = proof
			return nil
		})
	}
	_ = g.Wait() // it is nil: each proof has its own answer
	return proofs
}

// provePayloadOf proves the payload of a target, in its project.
func (d *delivery) provePayloadOf(ctx context.Context, t push.Target) fcm.Answer {
	p, project := d.variants.payloadFor(t), d.Projects.ProjectOf(t.App)
	if !p.isPersonal() {
		return d.provePayload(ctx, project, p.sample)
	}
	r, err := p.renderFor(t.Customer, t.Attributes)
	if err != nil { // cannot happen: it was rendered before it was sent
		return fcm.Answer{Class: fcm.Refused, Text: err.Error()}
	}
	return d.provePayload(ctx, project, r)
}
