package deliver

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/fcm"
)

// proofsAtOnce is how many payloads are proven side by side.
const proofsAtOnce = 16

// resolve decides what the INVALID_ARGUMENT answers of the call mean. The token
// is at fault only if the payload is known to be good: proven before, and not
// doubted by a share of such answers that cannot be true. A proof takes its
// time, so results are saved first.
func (d *delivery) resolve(ctx context.Context) error {
	acceptedByToken := !d.payload.personal() && d.accepted()
	if !d.mailing.Proven && acceptedByToken {
		if err := d.markProven(ctx); err != nil {
			return err
		}
	}
	if len(d.suspects) == 0 {
		return nil
	}

	open := d.breakerOpen()
	if open {
		d.Log.WarnContext(ctx, "breaker open", "mailing", d.mailing.ID, "batch", d.batch.Batch,
			"share", float64(len(d.suspects))/float64(d.answered))
	}
	named := !slices.ContainsFunc(d.suspects, func(a answer) bool { return a.Outcome == fcm.Doubtful })
	if !open && (d.mailing.Proven && !d.payload.personal() || named) {
		d.resolveAll(fcm.Answer{Outcome: fcm.Accepted})
		return nil
	}

	if err := d.saveUnsaved(ctx); err != nil {
		return err
	}
	out, cancel := d.untilDeadline(ctx)
	defer cancel()
	if d.payload.personal() {
		d.proveEach(out)
		return nil
	}
	proof := d.Sender.Prove(out, d.payload.common)
	if proof.Provisional && acceptedByToken {
		proof = fcm.Answer{Outcome: fcm.Accepted}
	}
	d.resolveAll(proof)
	return nil
}

func (d *delivery) resolveAll(proof fcm.Answer) {
	for _, a := range d.suspects {
		d.resolveSuspect(a, proof)
	}
	d.suspects = nil
}

// proveEach proves the rendering of each suspect by itself: a personal message
// is a payload of its own.
func (d *delivery) proveEach(ctx context.Context) {
	proofs := make([]fcm.Answer, len(d.suspects))
	render := renderer{payload: d.payload}
	var g errgroup.Group
	g.SetLimit(proofsAtOnce)
	for i, a := range d.suspects {
		message, err := render.message(d.batch.Targets[a.target])
		if err != nil { // it was rendered before it was sent
			proofs[i] = fcm.Answer{Outcome: fcm.Refused, Text: err.Error()}
			continue
		}
		g.Go(func() error {
			proofs[i] = d.Sender.Prove(ctx, message)
			return nil
		})
	}
	_ = g.Wait() // none of them fails

	for i, a := range d.suspects {
		d.resolveSuspect(a, proofs[i])
	}
	d.suspects = nil
}
