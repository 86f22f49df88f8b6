package deliver

import (
	"context"
	"slices"
	"sync"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// An fcmWitness asks FCM for evidence, with validate_only.
type fcmWitness struct {
	*delivery
	ctx     context.Context
	part    *heldPart
	control controlResult // FCM's last answer
}

func (w *fcmWitness) askAgain(answers []int) []askResult {
	variants, err := w.payloads.get(w.mailing)
	out := make([]askResult, len(answers))
	if err != nil {
		return out
	}

	renderer := renderer{payloads: variants}
	var wg sync.WaitGroup
	for k, i := range answers {
		t := w.batch.Targets[w.part.targets[i]]
		message, err := renderer.message(t)
		if err != nil { // cannot happen: it was rendered before it was sent
			continue
		}
		wg.Add(1)
		w.ask(t, message, func(a fcm.Answer) {
			defer wg.Done()
			out[k] = askResultOf(a)
			if out[k] == askAccepted { // FCM accepts tokens of this group now
				w.groups.observe(t, false, w.Now())
				w.groups.observeRelease(t, false, w.Now())
			}
		})
	}
	wg.Wait()
	return out
}

func askResultOf(a fcm.Answer) askResult {
	switch a.Class {
	case fcm.Accepted:
		return askAccepted
	case fcm.Invalid, fcm.Doubtful, fcm.Mismatch:
		return askInvalid
	}
	return askUnanswered
}

// project returns the project of the part, "" for the default one.
func (w *fcmWitness) project() string { return w.Projects.ProjectOf(w.part.answers.group.app) }

// ask sends a message to a target of the project with validate_only; the phone shows
// nothing.
func (w *fcmWitness) ask(t push.Target, message *fcm.Message, answered func(fcm.Answer)) {
	w.Sender.Send(w.ctx, fcm.Item{Message: message, Customer: t.Customer, Target: t.Token, Project: w.project(), Kind: t.Kind, DryRun: true, Until: w.deadline}, answered)
}

func (w *fcmWitness) askControls(key tokenGroup) controlResult {
	w.control = w.askControlsOf(key)
	if w.control != controlMissing || w.doubtsProject() {
		return w.control
	}
	switch elsewhere := w.askControlsOf(anyOf(key.kind, w.project())); elsewhere {
	case controlAccepted:
		w.control = controlElsewhere
	default:
		w.control = elsewhere
	}
	return w.control
}

// doubtsProject reports whether the answers may come from a wrong entry in the setting of
// projects. In a project of another app FCM answers SENDER_ID_MISMATCH for registration
// tokens, and UNREGISTERED for installation ids. That it accepts tokens of another app
// does not show that this one is in the project, too.
func (w *fcmWitness) doubtsProject() bool {
	return w.Projects.HasSeveral() && (w.part.answers.foreign || w.part.answers.group.kind == push.KindFID)
}

func (w *fcmWitness) askControlsOf(key tokenGroup) controlResult {
	variants, err := w.payloads.get(w.mailing)
	if err != nil {
		return controlUnanswered
	}
	controls, err := w.groups.controls(w.ctx, w.Store, key, w.Now())
	if err != nil {
		w.Log.WarnContext(w.ctx, "controls not read", "mailing", w.mailing.ID, "error", err)
		return controlUnanswered
	}

	controls = append(controls, w.acceptedInBatch(key)...) // another instance may have sent them

	result, held := controlMissing, 0
	for _, c := range controls {
		if w.isHeld(c.token) {
			held++
			continue
		}
		answer := make(chan fcm.Answer, 1)
		t := push.Target{Customer: c.customer, Token: c.token, Kind: c.kind, Platform: key.platform}
		w.ask(t, variants[0].sample.message, func(a fcm.Answer) { answer <- a })
		switch a := <-answer; askResultOf(a) {
		case askAccepted:
			return controlAccepted
		case askInvalid:
			result = controlRefused
		default:
			return controlUnanswered
		}
	}
	if held > 1 { // one customer may have removed the app; two of the last accepted tokens at once is no coincidence
		return controlRefused
	}
	return result
}

// acceptedInBatch lists tokens of the group that FCM accepted in this batch.
func (w *fcmWitness) acceptedInBatch(key tokenGroup) (out []control) {
	for i, t := range w.batch.Targets {
		if len(out) == controlsKept {
			break
		}
		if w.batch.Results[i] == push.ResultAccepted && (groupOf(t) == key || slices.Contains(anysOf(t.Kind, w.projectOf(i)), key)) {
			out = append(out, control{customer: t.Customer, token: t.Token, kind: t.Kind})
		}
	}
	return out
}

// wereAccepted reports whether this instance saw FCM accept each of the tokens that
// it calls invalid now.
func (w *fcmWitness) wereAccepted() bool {
	for i, target := range w.part.targets {
		if w.part.answers.invalid[i] && !w.groups.isControl(w.part.answers.group, w.batch.Targets[target].Token) {
			return false
		}
	}
	return true
}

// isHeld reports whether the flag of a token is among those to be decided.
func (w *fcmWitness) isHeld(token string) bool {
	return slices.ContainsFunc(w.batch.HeldFlags, func(i int) bool { return w.batch.Targets[i].Token == token })
}
