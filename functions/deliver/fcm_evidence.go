package deliver

import (
	"context"
	"slices"
	"sync"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// An fcmEvidence asks FCM for evidence, with validate_only.
type fcmEvidence struct {
	*delivery
	ctx          context.Context
	part         *heldPart
	lastControls controlResult // the last result of askControls; weighHeldParts reads it
}

// askAgain asks FCM again about the targets of these answers, with validate_only, and waits
// for all answers. indexes are those of groupAnswers.invalid. The goroutines of the sender
// write the result without a lock: each has an element of its own.
func (w *fcmEvidence) askAgain(indexes []int) []askResult {
	variants, err := w.payloads.getPayloads(w.mailing)
	out := make([]askResult, len(indexes))
	if err != nil {
		return out
	}

	renderer := renderer{payloads: variants}
	var wg sync.WaitGroup
	for k, i := range indexes {
		t := w.batch.Targets[w.part.targets[i]]
		message, err := renderer.messageFor(t)
		if err != nil { // cannot happen: it was rendered before it was sent. The result stays askUnanswered
			continue
		}
		wg.Add(1)
		w.sendValidateOnly(t, message, func(a fcm.Answer) {
			defer wg.Done()
			out[k] = askResultOf(a)
			if out[k] == askAccepted { // FCM accepts tokens of this group now
				w.groups.addAnswer(t, false, w.Now())
				w.groups.addReleaseAnswer(t, false, w.Now())
			}
		})
	}
	wg.Wait()
	return out
}

// askResultOf returns what an answer says about its token.
func askResultOf(a fcm.Answer) askResult {
	switch a.Class {
	case fcm.Accepted:
		return askAccepted
	case fcm.Invalid, fcm.Doubtful, fcm.Mismatch:
		return askInvalid
	}
	return askUnanswered
}

// projectOfPart returns the project of the part, "" for the default one.
func (w *fcmEvidence) projectOfPart() string { return w.Projects.ProjectOf(w.part.answers.group.app) }

// sendValidateOnly sends a message to a target of the project with validate_only; the phone shows
// nothing.
func (w *fcmEvidence) sendValidateOnly(t push.Target, message *fcm.Message, answered func(fcm.Answer)) {
	w.Sender.Send(w.ctx, fcm.Item{Message: message, Customer: t.Customer, Target: t.Token, Project: w.projectOfPart(), Kind: t.Kind, DryRun: true, Until: w.deadline}, answered)
}

// askControls asks FCM about control tokens of the group. If none of them can be used, it asks
// about those of any group of its kind in the project, unless the answers may come from a
// wrong project. The result is
//
//	controlAccepted   FCM accepts one of the group
//	controlElsewhere  the group has none that can be used, and FCM accepts one of another group
//	controlMissing    there is none anywhere
//	controlRefused    FCM refuses them; or the group had several, none of them can be used any
//	                  more, and no other group has one that FCM accepts: then nothing shows
//	                  that the answers of FCM are right
//	controlUnanswered FCM is out of reach, or the store
func (w *fcmEvidence) askControls(key tokenGroup) controlResult {
	own := w.askControlsOfGroup(key)
	w.lastControls = own
	if (own == controlMissing || own == controlGone) && !w.doubtsProject() {
		w.lastControls = w.askControlsOfGroup(controlGroup(key.kind, w.projectOfPart()))
	}

	switch {
	case w.lastControls == controlAccepted && own != controlAccepted:
		w.lastControls = controlElsewhere
	case w.lastControls == controlGone, w.lastControls == controlMissing && own == controlGone:
		w.lastControls = controlRefused
	}
	return w.lastControls
}

// doubtsProject reports whether the answers may come from a wrong entry in the setting of
// projects. In a project of another app FCM answers SENDER_ID_MISMATCH for registration
// tokens, and UNREGISTERED for installation ids. That it accepts tokens of another app
// does not show that this one is in the project, too.
func (w *fcmEvidence) doubtsProject() bool {
	return w.Projects.HasSeveral() && (w.part.answers.wrongSender || w.part.answers.group.kind == push.KindFID)
}

// askControlsOfGroup asks FCM about the control tokens of a group, one after the other, until
// FCM accepts one.
func (w *fcmEvidence) askControlsOfGroup(key tokenGroup) controlResult {
	variants, err := w.payloads.getPayloads(w.mailing)
	if err != nil {
		return controlUnanswered
	}
	controls, gone, err := w.groups.readControls(w.ctx, w.Store, key, w.Now())
	if err != nil {
		w.Log.WarnContext(w.ctx, "control tokens not read", "mailing", w.mailing.ID, "error", err)
		return controlUnanswered
	}

	controls = append(controls, w.acceptedInBatch(key)...) // FCM may have accepted these in a call of another instance

	result, held := controlMissing, 0
	if gone {
		result = controlGone
	}
	for _, c := range controls {
		if w.isHeld(c.token) {
			held++
			continue
		}
		answer := make(chan fcm.Answer, 1)
		t := push.Target{Customer: c.customer, Token: c.token, Kind: c.kind, Platform: key.platform}
		w.sendValidateOnly(t, variants[0].sample.message, func(a fcm.Answer) { answer <- a })
		switch a := <-answer; askResultOf(a) {
		case askAccepted:
			return controlAccepted
		case askInvalid:
			result = controlRefused
		default:
			return controlUnanswered
		}
	}

	if held > 1 { // one customer may have removed the app. If two tokens that FCM accepted lately are invalid, FCM is probably wrong
		return controlRefused
	}
	return result
}

// acceptedInBatch lists tokens of the group that FCM accepted in this batch.
func (w *fcmEvidence) acceptedInBatch(key tokenGroup) (out []control) {
	for i, t := range w.batch.Targets {
		if len(out) == maxControls {
			break
		}
		if w.batch.Results[i] == push.ResultAccepted && (groupOf(t) == key || slices.Contains(controlGroupsOf(t.Kind, w.projectOf(i)), key)) {
			out = append(out, control{customer: t.Customer, token: t.Token, kind: t.Kind})
		}
	}
	return out
}

// wereAccepted reports whether this instance saw FCM accept each of the tokens that
// it calls invalid now.
func (w *fcmEvidence) wereAccepted() bool {
	for i, target := range w.part.targets {
		if w.part.answers.invalid[i] && !w.groups.isControl(w.part.answers.group, w.batch.Targets[target].Token) {
			return false
		}
	}
	return true
}

// isHeld reports whether the flag of a token is among those to be decided.
func (w *fcmEvidence) isHeld(token string) bool {
	return slices.ContainsFunc(w.batch.HeldFlags, func(i int) bool { return w.batch.Targets[i].Token == token })
}
