package deliver

import (
	"context"
	"slices"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// heldWait is how long a batch waits whose flags cannot be decided yet.
	heldWait = 20 * time.Second
	// recoveryWait is how long after FCM accepted tokens again the others are asked
	// about once more.
	recoveryWait = 2 * time.Second
	// heldAtMost is how long a flag is held after FCM's answer. If it is not decided by then, it
	// is dropped, and the next mailing finds the token again. A paused mailing keeps its flags.
	heldAtMost = 30 * time.Minute
)

// evidenceStore is what the weighing of invalid answers reads and stores.
type evidenceStore interface {
	ReadControls(ctx context.Context, group string) (usable []store.ControlToken, stored int, err error)
	SaveControls(ctx context.Context, group string, list []store.ControlToken, most int) error
	ReadSuspicion(ctx context.Context, group string) (store.Suspicion, error)
	SaveSuspicion(ctx context.Context, group string, x store.Suspicion) error
	ReadSettings(ctx context.Context) (push.Settings, error)
	ReadTotals(ctx context.Context, m *push.Mailing) (push.Totals, error)
}

// A tokenAnswer is an answer of FCM that says something about the token.
type tokenAnswer struct {
	target  int
	invalid bool
}

// weighHeldFlags decides which of the held flags are set, which are dropped, and which stay
// held. decideInvalid (plausibility.go) has the rule; this file asks FCM for evidence.
func (d *delivery) weighHeldFlags(ctx context.Context) error {
	d.saveControlTokens(ctx)
	if len(d.batch.HeldFlags) == 0 {
		return nil
	}
	if d.mailing.HeldDecision != "" { // a person has decided
		d.takeFromHeld(d.batch.HeldFlags, d.mailing.HeldDecision == push.FlagHeld)
		return nil
	}

	asking, cancel := d.untilDeadline(ctx)
	defer cancel()
	evidence := d.weighHeldParts(asking, d.groupHeldFlags())
	if recovered := evidence.recoveredProjects(); len(recovered) > 0 && len(d.batch.HeldFlags) > 0 && d.Sleep(asking, recoveryWait) == nil {
		// FCM accepts some of them now: its outage may be over. observed is emptied, so that
		// all held flags are weighed as those of an earlier call: each has to be confirmed.
		d.observed = nil
		evidence = d.weighHeldParts(asking, d.groupHeldFlags())
		for _, project := range recovered {
			evidence.forProject(project).recovered = true
		}
	}
	return d.pauseOrResume(ctx, evidence)
}

// saveControlTokens stores the tokens of this call that FCM accepted, at most every
// controlsSavedEvery.
func (d *delivery) saveControlTokens(ctx context.Context) {
	keys := map[tokenGroup]bool{}
	for _, o := range d.observed {
		if !o.invalid {
			t := d.batch.Targets[o.target]
			keys[groupOf(t)] = true
			for _, any := range controlGroupsOf(t.Kind, d.projectOf(o.target)) {
				keys[any] = true
			}
		}
	}

	for key, list := range d.groups.takeControlsToSave(keys, d.Now()) {
		if err := d.Store.SaveControls(ctx, key.storedName(), list, maxControls); err != nil {
			d.Log.WarnContext(ctx, "control tokens not recorded", "error", err)
			d.groups.forgetSave(key) // the next call tries again
		}
	}
}

// A heldPart has the invalid answers of a group that are decided together.
type heldPart struct {
	answers groupAnswers
	targets []int // by answer
}

// targetsOf returns the targets of some answers.
func (p *heldPart) targetsOf(answers []int) []int {
	var out []int
	for _, i := range answers {
		out = append(out, p.targets[i])
	}
	return out
}

// A heldKey says which answers are weighed together.
type heldKey struct {
	group       tokenGroup
	heldBefore  bool // by an earlier call
	wrongSender bool // FCM answered SENDER_ID_MISMATCH
}

// groupHeldFlags groups the held flags. Flags that an earlier call held are separate from
// the answers of this call.
func (d *delivery) groupHeldFlags() []*heldPart {
	parts := map[heldKey]*heldPart{}
	var order []*heldPart
	add := func(key heldKey, target int, invalid bool) {
		p := parts[key]
		if p == nil {
			p = &heldPart{answers: groupAnswers{group: key.group, heldBefore: key.heldBefore, wrongSender: key.wrongSender, unaccepted: d.groups.countUnaccepted(key.group)}}
			if !key.heldBefore {
				p.answers.before = d.answersBefore[key.group]
			}
			parts[key], order = p, append(order, p)
		}
		p.answers.invalid, p.targets = append(p.answers.invalid, invalid), append(p.targets, target)
	}

	fresh := map[int]bool{}
	for _, o := range d.observed {
		held := slices.Contains(d.batch.HeldFlags, o.target)
		if o.invalid && !held {
			continue // the payload was at fault
		}
		fresh[o.target] = true
		group := groupOf(d.batch.Targets[o.target])
		if !o.invalid { // an accepted answer counts for both kinds of invalid answers
			add(heldKey{group: group, wrongSender: true}, o.target, false)
			add(heldKey{group: group}, o.target, false)
			continue
		}
		add(heldKey{group: group, wrongSender: d.isWrongSender(o.target)}, o.target, true)
	}

	for _, target := range d.batch.HeldFlags {
		if !fresh[target] {
			add(heldKey{groupOf(d.batch.Targets[target]), true, d.isWrongSender(target)}, target, true)
		}
	}

	for _, p := range order {
		if p.answers.heldBefore {
			p.answers.answered = d.countAnswered(p.answers.group)
		}
	}

	return slices.DeleteFunc(order, func(p *heldPart) bool { return p.answers.countInvalid() == 0 })
}

// countAnswered counts the targets of a group for which FCM has said whether the token
// is valid.
func (r *results) countAnswered(group tokenGroup) (n int) {
	for i, t := range r.batch.Targets {
		result := r.batch.Results[i]
		if groupOf(t) == group && (result == push.ResultAccepted || result.FlagCode() != "") {
			n++
		}
	}
	return n
}

// isWrongSender reports whether FCM answered SENDER_ID_MISMATCH for a target.
func (r *results) isWrongSender(target int) bool {
	return r.batch.Results[target] == push.ResultWrongSender
}

// weighHeldParts decides about each part.
func (d *delivery) weighHeldParts(ctx context.Context, parts []*heldPart) evidenceByProject {
	evidence := evidenceByProject{}
	for _, part := range parts {
		out := evidence.forProject(d.Projects.ProjectOf(part.answers.group.app))
		w := &fcmEvidence{delivery: d, ctx: ctx, part: part}
		part.answers.wereAccepted = w.wereAccepted()
		recorded := d.addReleaseEvidence(ctx, part)
		decision := decideInvalid(part.answers, w)
		recovered := len(decision.drop) > 0
		d.saveSuspicion(ctx, part, decision, recorded)
		if part.answers.wrongSender && len(decision.flag) > 0 {
			decision = d.applyWrongSender(ctx, decision)
		}
		d.takeFromHeld(part.targetsOf(decision.flag), true)
		d.takeFromHeld(part.targetsOf(decision.drop), false)
		d.logHeld(ctx, part, decision)
		out.refused = out.refused || decision.refused
		out.accepted = out.accepted || w.lastControls == controlAccepted
		out.recovered = out.recovered || recovered
	}

	return evidence
}

// applyWrongSender drops the flags of tokens of another sender if the settings say so. If the
// settings cannot be read, it holds them.
func (d *delivery) applyWrongSender(ctx context.Context, decision tokenDecision) tokenDecision {
	set, err := d.Store.ReadSettings(ctx)
	switch {
	case err != nil:
		d.Log.WarnContext(ctx, "settings not read", "mailing", d.mailing.ID, "batch", d.batch.Batch, "error", err)
		decision.hold, decision.flag = append(decision.hold, decision.flag...), nil
	case set.WrongSender == push.WrongSenderKeep:
		decision.drop, decision.flag = append(decision.drop, decision.flag...), nil
	}
	return decision
}

// takeFromHeld takes flags out of the held ones. With keepOwed they stay owed, and flagOwed
// sets them. Without it they are dropped.
func (r *results) takeFromHeld(targets []int, keepOwed bool) {
	targets = slices.Clone(targets)
	decided := func(i int) bool { return slices.Contains(targets, i) }
	r.batch.HeldFlags = slices.DeleteFunc(slices.Clone(r.batch.HeldFlags), decided)
	if !keepOwed {
		r.dropFlags(targets)
	}
	if len(targets) > 0 {
		r.unsaved++
	}
}

// logHeld logs a part of which flags are held or dropped.
func (d *delivery) logHeld(ctx context.Context, p *heldPart, decision tokenDecision) {
	if len(decision.hold)+len(decision.drop) == 0 {
		return
	}
	g := p.answers.group
	d.Log.WarnContext(ctx, "flags held", "mailing", d.mailing.ID, "batch", d.batch.Batch, "kind", g.kind, "platform", g.platform,
		"app", g.app, "young", g.young, "held", len(decision.hold), "dropped", len(decision.drop), "flagged", len(decision.flag),
		"project", d.Projects.ProjectOf(g.app), "no_control_token_accepted", decision.refused)
}

// dropLateFlags drops the flags that could not be decided in time, and all of them if the
// mailing has ended. The next mailing finds these tokens again.
func (d *delivery) dropLateFlags(ctx context.Context) {
	paused := d.mailing.State == push.Paused
	var late []int
	for _, i := range d.batch.HeldFlags {
		if d.hasMailingEnded() || !paused && d.Now().Sub(d.answeredAt(i)) > heldAtMost {
			late = append(late, i)
		}
	}
	if len(late) == 0 {
		return
	}
	d.Log.WarnContext(ctx, "held flags dropped", "mailing", d.mailing.ID, "batch", d.batch.Batch, "flags", len(late))
	d.takeFromHeld(late, false)
}

// answeredAt returns when FCM called the token of a target invalid.
func (r *results) answeredAt(target int) time.Time {
	id := r.tokenID(target)
	i := slices.IndexFunc(r.batch.InvalidTokens, func(x push.InvalidToken) bool { return x.TokenID == id })
	if i < 0 {
		return time.Time{}
	}
	return r.batch.InvalidTokens[i].At
}

// hasMailingEnded reports whether the mailing has ended, so that nothing of it waits any
// longer.
func (d *delivery) hasMailingEnded() bool {
	return d.mailing.State.Final() || !d.mailing.ExpiresAt.After(d.Now())
}
