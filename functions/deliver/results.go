package deliver

import (
	"slices"
	"time"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// minAnswers is how many answers are needed at least to compute a share.
const minAnswers = 50

// results is the bookkeeping of one batch: what FCM's answers mean for its targets.
// It does no I/O and has no lock, so that its rules are tested with tables of
// answers.
type results struct {
	batch        *push.Batch
	now          func() time.Time
	invalidShare float64 // the breaker opens above this share of INVALID_ARGUMENT
	projects     push.Projects

	unsaved           int               // results, and decisions about flags, that are not stored yet
	answered          map[string]int    // by project: answers of this call that are final
	observed          []tokenAnswer     // answers of this call that say something about their token, in order
	undecided         []answer          // INVALID_ARGUMENT: undecided until the payload is known to be good
	refusedByPlatform []answer          // Apple, or a browser's push service, refused the credentials of the app
	due               map[int]time.Time // by target: when one that waits may be sent again
	stop              stop
}

// An answer is FCM's answer for one target of the batch.
type answer struct {
	target int // its index
	fcm.Answer
}

// A stop says why no more is sent, and has what its reason needs.
type stop struct {
	project string // with stopCredentials: the project that gave the answer, "" for the default one

	reason stopReason
	result push.Result // with stopEnded: the result of every pending target
	answer fcm.Answer  // with stopCredentials: FCM's answer
	until  time.Time   // with stopUnproven: when a proof may be asked for again; with stopOutsideHours: when the hours begin
}

// stopReason says why no more is sent. docs/deliver.md has a table of its values.
type stopReason int

// Values of stopReason.
const (
	stopNone         stopReason = iota
	stopPaused                  // pending targets stay pending
	stopUnproven                // FCM cannot be asked whether it accepts the payload
	stopEnded                   // cancelled, expired or refused: pending targets are closed
	stopCredentials             // FCM refuses our credentials, or answers do not come from FCM: the mailing is paused
	stopOutsideHours            // it is outside the hours of the mailing: pending targets wait for them
)

func (r *results) isStopped() bool { return r.stop.reason != stopNone }

// stopWith stops the sending. The first reason stays.
func (r *results) stopWith(s stop) {
	if !r.isStopped() {
		r.stop = s
	}
}

// recordAnswer takes FCM's answer for one target.
func (r *results) recordAnswer(a answer) {
	r.batch.Limited += a.Limited
	if a.Class != fcm.Waiting {
		if r.answered == nil {
			r.answered = map[string]int{}
		}
		r.answered[r.projectOf(a.target)]++
	}

	switch a.Class {
	case fcm.Accepted:
		r.observed = append(r.observed, tokenAnswer{target: a.target, invalid: false})
		r.setResult(a.target, push.ResultAccepted)
	case fcm.Invalid:
		r.observed = append(r.observed, tokenAnswer{target: a.target, invalid: true})
		if a.Code == push.CodeInvalidArgument {
			r.undecided = append(r.undecided, a)
			return
		}
		r.setInvalid(a, push.ResultUnregistered)
	case fcm.Doubtful:
		r.observed = append(r.observed, tokenAnswer{target: a.target, invalid: true})
		r.undecided = append(r.undecided, a)
	case fcm.Refused:
		r.setResultWithReason(a.target, push.ResultRefused, a.Text)
	case fcm.Mismatch:
		r.observed = append(r.observed, tokenAnswer{target: a.target, invalid: true})
		r.setInvalid(a, push.ResultWrongSender)
	case fcm.ThirdParty: // the credentials of one platform: other targets go on
		r.refusedByPlatform = append(r.refusedByPlatform, a)
	case fcm.Misconfigured:
		r.stopWith(stop{reason: stopCredentials, answer: a.Answer, project: r.projectOf(a.target)})
	case fcm.Waiting:
		r.due[a.target] = a.NotBefore
	}
}

// setResult gives a target its result.
func (r *results) setResult(target int, result push.Result) {
	r.batch.Results[target] = result
	r.unsaved++
}

// setResultWithReason gives a target a result that has a reason. The batch keeps its first
// reason.
func (r *results) setResultWithReason(target int, result push.Result, reason string) {
	r.setReason(reason)
	r.setResult(target, result)
}

// setReason stores why targets failed. The first reason stays.
func (r *results) setReason(reason string) {
	if r.batch.Reason == "" {
		r.batch.Reason = reason
	}
}

// setInvalid gives a target an invalid result. Once the result is saved, the
// batch owes the flag of the token and its event. The flag is held until weighHeldFlags
// finds the answer credible.
func (r *results) setInvalid(a answer, result push.Result) {
	t := r.batch.Targets[a.target]
	r.setResult(a.target, result)
	r.batch.OwedFlags = append(r.batch.OwedFlags, a.target)
	r.batch.HeldFlags = append(r.batch.HeldFlags, a.target)
	r.batch.InvalidTokens = append(r.batch.InvalidTokens, push.InvalidToken{
		Customer: t.Customer, TokenID: r.tokenID(a.target), Code: result.FlagCode(), Status: a.Status, At: r.now(),
	})
}

// closePending gives a result to every pending target.
func (r *results) closePending(result push.Result) { r.unsaved += r.batch.ClosePending(result) }

// projectOf returns the project of a target's token, "" for the default project.
func (r *results) projectOf(target int) string {
	return r.projects.ProjectOf(r.batch.Targets[target].App)
}

// breakerOpen reports whether there is more INVALID_ARGUMENT in a project than can be
// true.
func (r *results) breakerOpen(project string) bool {
	return isImplausible(r.countUndecided(project), r.answered[project], r.invalidShare)
}

// countUndecided counts the undecided answers of a project.
func (r *results) countUndecided(project string) (n int) {
	for _, a := range r.undecided {
		if r.projectOf(a.target) == project {
			n++
		}
	}
	return n
}

// hasAccepted reports whether FCM accepted the message of a variant for a token of the
// batch, in a project. A mailing without variants has the variant 0 alone.
func (r *results) hasAccepted(variant int, project string) bool {
	for i, t := range r.batch.Targets {
		if t.Variant == variant && r.batch.Results[i] == push.ResultAccepted && r.projectOf(i) == project {
			return true
		}
	}
	return false
}

// hasAcceptedForCustomer reports whether FCM accepted the message for a token of that customer, in
// a project. All tokens of a customer get the same message.
func (r *results) hasAcceptedForCustomer(customer, project string) bool {
	for i, t := range r.batch.Targets {
		if t.Customer == customer && r.batch.Results[i] == push.ResultAccepted && r.projectOf(i) == project {
			return true
		}
	}
	return false
}

// readyTargets lists the pending targets that may be sent at a time.
func (r *results) readyTargets(at time.Time) []int {
	return slices.DeleteFunc(r.batch.PendingTargets(), func(i int) bool { return r.due[i].After(at) })
}

// isSettled reports whether nothing of the batch is left to do: every target has its
// result, and every flag is set.
func (r *results) isSettled() bool {
	return len(r.batch.PendingTargets()) == 0 && len(r.batch.OwedFlags) == 0
}

// releaseAfterSuccess ends the lease of a call that did not fail.
func (r *results) releaseAfterSuccess() { r.releaseBatch(true) }

// releaseAfterError ends the lease of a call that failed.
func (r *results) releaseAfterError() { r.releaseBatch(false) }

// releaseBatch ends the lease; well: the call did not fail. The batch waits until the first
// of its targets may be sent again; the others are skipped until their own time. With held
// flags it waits heldWait at most. If only held flags are left, or the mailing is paused, it
// waits exactly heldWait. Outside the
// hours of the mailing no message waits in Pub/Sub: tick publishes the batch at WaitUntil.
func (r *results) releaseBatch(well bool) {
	r.batch.ReleaseLease(well)
	at := r.firstDue()
	switch r.stop.reason {
	case stopPaused, stopCredentials:
		at = time.Time{} // a resume continues at once
	case stopUnproven, stopOutsideHours:
		at = r.stop.until
	}

	if at.IsZero() {
		at = r.now()
	}
	if weighAgainAt := r.now().Add(heldWait); len(r.batch.HeldFlags) > 0 && (len(r.batch.PendingTargets()) == 0 || r.stop.reason == stopPaused || at.After(weighAgainAt)) {
		at = weighAgainAt
	}

	r.batch.NotBefore = at
	if r.stop.reason == stopOutsideHours && len(r.batch.OwedFlags) == 0 && len(r.batch.PendingTargets()) > 0 {
		r.batch.WaitUntil, r.batch.PublishedAt = r.stop.until, time.Time{}
	}
}

// firstDue returns when the first pending target may be sent; zero if one may be sent
// now, or none is pending.
func (r *results) firstDue() (first time.Time) {
	for k, i := range r.batch.PendingTargets() {
		if at := r.due[i]; k == 0 || at.Before(first) {
			first = at
		}
	}
	return first
}

func (r *results) tokenID(target int) string { return push.TokenID(r.batch.Targets[target].Token) }

// dropOwedFlags removes all owed flags. They are not set.
func (r *results) dropOwedFlags() {
	r.batch.HeldFlags = nil
	r.dropFlags(slices.Clone(r.batch.OwedFlags))
}

// dropFlags removes owed flags. They are not set.
func (r *results) dropFlags(targets []int) {
	drop := map[string]bool{}
	for _, i := range targets {
		drop[r.tokenID(i)] = true
	}
	r.batch.OwedFlags = slices.DeleteFunc(slices.Clone(r.batch.OwedFlags), func(i int) bool { return slices.Contains(targets, i) })
	r.batch.InvalidTokens = slices.DeleteFunc(slices.Clone(r.batch.InvalidTokens), func(x push.InvalidToken) bool { return drop[x.TokenID] })
}
