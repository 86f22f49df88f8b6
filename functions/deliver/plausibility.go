package deliver

import "carillon.example/shared/push"

// A tokenGroup is a set of push tokens about which FCM can be wrong together. An
// outage, a wrong project or a faulty SDK release affects one kind, platform or app,
// or all registrations of the last days. Answers are weighed within a group and never
// across groups.
type tokenGroup struct {
	kind     push.Kind
	platform push.Platform
	app      string
	young    bool // an app registered it at most a week ago
}

// Limits of the weighing of invalid answers.
const (
	neighbours        = 8   // answers on each side of an invalid answer that are looked at
	aloneLimit        = 1   // further invalid answers among the neighbours that do not raise doubt
	fewInvalid        = 20  // up to so many invalid answers are believed without a control token, if the kind allows it
	youngInvalidLimit = 0.2 // above this share of invalid young tokens the app or FCM is at fault
	maxControls       = 3   // accepted tokens that are remembered for each group
)

// An askResult is FCM's answer to a second request for a token, with validate_only.
type askResult int

const (
	askUnanswered askResult = iota // FCM is out of reach, the quota is used up, or the call has to end
	askAccepted                    // the token is valid after all
	askInvalid                     // the token is invalid again
)

// A controlResult is FCM's answer for the control tokens of a group: tokens that it
// accepted lately.
type controlResult int

const (
	controlUnanswered controlResult = iota
	controlMissing                  // FCM has accepted no other token of this group yet
	controlGone                     // FCM accepted several tokens of the group lately, and none can be asked about any more; only askControlsOfGroup returns it
	controlElsewhere                // as controlMissing, but FCM accepts a token of another group of this kind
	controlRefused                  // FCM refuses tokens that it accepted lately: its answers are wrong at the moment
	controlAccepted
)

// isTrusted reports whether FCM's other answers at this moment may be right.
func (r controlResult) isTrusted() bool { return r != controlRefused && r != controlUnanswered }

// groupAnswers are the answers of one batch for one group.
type groupAnswers struct {
	group tokenGroup

	// before has the last answers for the group in this instance before those of the
	// batch, oldest first; true: invalid.
	before []bool

	// invalid has the answers of the batch in their order; true: invalid. Answers
	// that say nothing about the token (failed, waiting) are left out.
	invalid []bool

	// unaccepted counts the invalid answers for the group in this instance, with those of
	// the batch, as long as no token of the group was ever accepted.
	unaccepted int

	// wrongSender says that the invalid answers are SENDER_ID_MISMATCH: another project's
	// tokens.
	wrongSender bool

	// wereAccepted says that FCM accepted each of the invalid tokens before.
	wereAccepted bool

	// answered is how many targets of the group in the batch FCM has answered in all,
	// in earlier calls too; 0: those of invalid.
	answered int

	// youngInvalid of youngAnswered young installation ids of the group were invalid
	// when this instance asked last, with those of the batch. suspected says that an
	// instance has stored the suspicion that a release is at fault.
	youngInvalid, youngAnswered int
	suspected                   bool

	// early says that some of the invalid answers came just now, so that a faulty
	// release may not be visible yet.
	early bool

	// heldBefore says that an earlier call held the invalid answers: all of them have to
	// be confirmed.
	heldBefore bool
}

// A tokenDecision says what happens to the invalid answers of one group, by their
// index in groupAnswers.invalid. Each invalid answer is in exactly one of the lists.
type tokenDecision struct {
	flag []int // the token is flagged
	drop []int // FCM accepts the token now: it is not flagged
	hold []int // a later call decides

	refused          bool // held because FCM refuses the control tokens too, or because there is none
	releaseSuspected bool // held because the app's release may be at fault
	cleared          bool // FCM accepts most of the young installation ids that it had refused
}

// An evidenceSource asks FCM for evidence. Both methods use validate_only, so that phones
// show nothing.
type evidenceSource interface {
	// askAgain asks for the tokens of these answers, by their index in
	// groupAnswers.invalid.
	askAgain(indexes []int) []askResult

	// askControls asks for the control tokens of the group that are not among its
	// invalid answers.
	askControls(tokenGroup) controlResult
}

// decideInvalid decides which invalid answers of a group flag their token.
//
// FCM never accepts a token again once it is invalid, and tokens become invalid one by one.
// So an invalid answer is believed at once only if it stands alone among accepted ones.
// Others have to be confirmed: FCM is asked again. If it accepts one of them now, its
// answers are not reliable at the moment, and the rest is held. FCM has to accept a control
// token before it is asked again, and once more before tokens are flagged. With the second
// one only, an outage could end after the confirmation and before the control token. While
// FCM refuses control tokens, no token is flagged.
//
// Young installation ids wait for one more call, to see whether many of them are
// invalid. If so, the release of the app may be at fault, and they are held.
func decideInvalid(a groupAnswers, w evidenceSource) tokenDecision {
	believed, doubtful := a.splitByDoubt()
	if len(believed)+len(doubtful) == 0 {
		return tokenDecision{}
	}

	var d tokenDecision
	earlier := controlAccepted
	if len(doubtful) > 0 {
		earlier = w.askControls(a.group)
	}
	confirmed, recovered, unanswered := a.confirmDoubtful(doubtful, w)
	d.drop = recovered
	d.hold = unanswered

	// Many invalid young tokens are held even if FCM confirms them.
	d.releaseSuspected = a.suspectsRelease()
	d.cleared = a.group.dependsOnRelease() && len(recovered) >= fewYoung && float64(len(confirmed)) <= youngInvalidLimit*float64(len(recovered)+len(confirmed))
	wait := d.releaseSuspected || a.suspected || a.early && !a.wereAccepted
	if len(recovered) > 0 || wait || !earlier.isTrusted() {
		d.hold = append(d.hold, confirmed...)
		d.refused = earlier == controlRefused && len(confirmed) > 0 && len(recovered) == 0
		confirmed = nil
	}
	if wait {
		d.hold = append(d.hold, believed...)
		believed = nil
	}

	flag := append(believed, confirmed...)
	if len(flag) == 0 {
		return d
	}

	switch control := w.askControls(a.group); control {
	case controlAccepted:
		d.flag = flag
	case controlMissing, controlElsewhere:
		if a.credibleWithoutControl(control == controlElsewhere) {
			d.flag = flag
			break
		}
		// An accepted token of another group shows that FCM works and that this is
		// its project. Then only these tokens wait, and the mailing goes on.
		d.hold, d.refused = append(d.hold, flag...), control == controlMissing
	case controlRefused:
		d.hold, d.refused = append(d.hold, flag...), true
	case controlUnanswered:
		d.hold = append(d.hold, flag...)
	}

	return d
}

// suspectsRelease reports whether so many of the young tokens are invalid that the release of
// the app, or FCM, may be at fault. For installation ids a smaller number is enough,
// once there was time for others to show.
func (a *groupAnswers) suspectsRelease() bool {
	if !a.group.young || a.wrongSender {
		return false
	}
	if a.countInvalid() >= fewInvalid/2 && a.invalidShare() > youngInvalidLimit {
		return true
	}
	if !a.group.dependsOnRelease() || a.early {
		return false
	}
	return a.countInvalid() >= fewYoung && a.invalidShare() > youngInvalidLimit ||
		a.youngInvalid >= fewYoung && float64(a.youngInvalid) > youngInvalidLimit*float64(a.youngAnswered)
}

// splitByDoubt separates the invalid answers that stand alone from those that have to be
// confirmed. An answer stands alone if the group had an accepted answer before it,
// and at most one of its neighbours is invalid too.
func (a *groupAnswers) splitByDoubt() (believed, doubtful []int) {
	all := append(append([]bool{}, a.before...), a.invalid...)
	offset := len(a.before)
	accepted := false // the group had an accepted answer so far
	for i, invalid := range all {
		if !invalid {
			accepted = true
			continue
		}
		if i < offset {
			continue
		}
		others := -1 // the answer itself does not count
		for _, x := range all[max(0, i-neighbours):min(len(all), i+neighbours+1)] {
			if x {
				others++
			}
		}
		if accepted && others <= aloneLimit && !a.heldBefore {
			believed = append(believed, i-offset)
		} else {
			doubtful = append(doubtful, i-offset)
		}
	}

	return believed, doubtful
}

// confirmDoubtful asks FCM again for doubtful answers.
func (a *groupAnswers) confirmDoubtful(doubtful []int, w evidenceSource) (confirmed, recovered, unanswered []int) {
	if len(doubtful) == 0 {
		return nil, nil, nil
	}

	for k, result := range w.askAgain(doubtful) {
		switch result {
		case askInvalid:
			confirmed = append(confirmed, doubtful[k])
		case askAccepted:
			recovered = append(recovered, doubtful[k])
		default:
			unanswered = append(unanswered, doubtful[k])
		}
	}

	return confirmed, recovered, unanswered
}

// countInvalid returns how many answers of the batch are invalid.
func (a *groupAnswers) countInvalid() int {
	n := 0
	for _, invalid := range a.invalid {
		if invalid {
			n++
		}
	}
	return n
}

// invalidShare returns the share of invalid answers in the batch and shortly before it.
func (a *groupAnswers) invalidShare() float64 {
	n := a.countInvalid()
	if a.answered > 0 {
		return float64(n) / float64(a.answered)
	}

	for _, invalid := range a.before {
		if invalid {
			n++
		}
	}

	total := len(a.invalid) + len(a.before)
	if total == 0 {
		return 0
	}
	return float64(n) / float64(total)
}

// credibleWithoutControl reports whether invalid answers are believed although FCM has
// accepted no other token of the group. Only few are. If they could mean that this is
// the wrong project, FCM has to accept a token of another group: it answers
// SENDER_ID_MISMATCH for registration tokens of another project, and UNREGISTERED for
// installation ids. Once it is known to be the right project, any number of tokens
// may be of another one. Young installation ids may come from a faulty release: only
// those that FCM accepted before are believed.
func (a *groupAnswers) credibleWithoutControl(kindAccepted bool) bool {
	if a.wrongSender {
		return kindAccepted
	}
	if max(a.countInvalid(), a.unaccepted) >= fewInvalid {
		return false
	}
	if a.group.kind == push.KindToken {
		return true
	}
	return kindAccepted && (!a.group.young || a.wereAccepted)
}
