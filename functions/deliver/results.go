package deliver

import (
	"slices"
	"time"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// minAnswers is how many answers a share is computed from at least.
const minAnswers = 50

// results is the bookkeeping of one batch: what FCM's answers mean for its
// targets. It does no I/O and takes no lock, so that every rule is tested as a
// table of answers.
type results struct {
	batch        *push.Batch
	now          func() time.Time
	invalidShare float64 // the breaker's: a greater share of INVALID_ARGUMENT cannot be true

	unsaved    int       // results that are not stored yet
	answered   int       // answers of this call that are final
	mismatches int       // tokens of another sender
	suspects   []answer  // INVALID_ARGUMENT: open until the payload is known to be good
	retryAt    time.Time // when targets that wait may be sent again
	stop       stop
}

// An answer is FCM's answer for one target of the batch.
type answer struct {
	target int // its index
	fcm.Answer
}

// A stop says why no more is sent, and has what its reason needs.
type stop struct {
	reason stopReason
	result push.Receipt // with stopEnded: the result of every target that is left
	answer fcm.Answer   // with stopCredentials: what was answered
}

type stopReason int

const (
	running         stopReason = iota
	stopPaused                 // what is left stays
	stopUnproven               // FCM is out of reach: nobody knows whether it accepts the payload
	stopEnded                  // cancelled, expired, refused: what is left is closed
	stopCredentials            // our credentials are refused: the mailing is to be paused
)

func (r *results) stopped() bool { return r.stop.reason != running }

// stopWith stops the sending. The first reason stays.
func (r *results) stopWith(s stop) {
	if !r.stopped() {
		r.stop = s
	}
}

// record books FCM's answer for one target.
func (r *results) record(a answer) {
	if a.Outcome != fcm.Waiting {
		r.answered++
	}

	switch a.Outcome {
	case fcm.Accepted:
		r.set(a.target, push.ReceiptAccepted)
	case fcm.Invalid:
		if a.Code == push.CodeInvalidArgument {
			r.suspects = append(r.suspects, a)
			return
		}
		r.setInvalid(a, push.ReceiptUnregistered)
	case fcm.Doubtful:
		r.suspects = append(r.suspects, a)
	case fcm.Refused:
		r.setFailed(a.target, push.ReceiptRefused, a.Text)
	case fcm.Mismatch:
		r.setFailed(a.target, push.ReceiptRefused, a.Text)
		if r.mismatches++; r.implausible(r.mismatches) {
			r.stopWith(stop{reason: stopCredentials, answer: a.Answer})
		}
	case fcm.ThirdParty: // Apple's or a browser's credentials: other targets go on
		r.setFailed(a.target, push.ReceiptFailed, a.Text)
	case fcm.Misconfigured:
		r.stopWith(stop{reason: stopCredentials, answer: a.Answer})
	case fcm.Waiting:
		r.wait(a.NotBefore)
	}
}

// set gives a target its result.
func (r *results) set(target int, result push.Receipt) {
	r.batch.Receipts[target] = result
	r.unsaved++
}

// setFailed gives a target a result that has a reason. The batch keeps the
// first reason.
func (r *results) setFailed(target int, result push.Receipt, reason string) {
	r.setReason(reason)
	r.set(target, result)
}

func (r *results) setReason(reason string) {
	if r.batch.Reason == "" {
		r.batch.Reason = reason
	}
}

// setInvalid gives a target an invalid result. The batch owes the token's flag
// and its event from the save on that stores the result.
func (r *results) setInvalid(a answer, result push.Receipt) {
	t := r.batch.Targets[a.target]
	r.set(a.target, result)
	r.batch.Owed = append(r.batch.Owed, a.target)
	r.batch.Dead = append(r.batch.Dead, push.Dead{
		Customer: t.Customer, TokenID: push.TokenID(t.Token), Code: result.Code(), Status: a.Status, At: r.now(),
	})
}

// closePending gives every target without a result that one.
func (r *results) closePending(result push.Receipt) { r.unsaved += r.batch.Close(result) }

func (r *results) wait(until time.Time) {
	if until.After(r.retryAt) {
		r.retryAt = until
	}
}

// implausible reports whether n of the answers so far are more than can be
// true.
func (r *results) implausible(n int) bool {
	return r.answered >= minAnswers && float64(n) > r.invalidShare*float64(r.answered)
}

// breakerOpen reports whether the share of INVALID_ARGUMENT cannot be true.
func (r *results) breakerOpen() bool { return r.implausible(len(r.suspects)) }

// accepted reports whether a token of the batch accepted its message.
func (r *results) accepted() bool { return slices.Contains(r.batch.Receipts, push.ReceiptAccepted) }

// resolveSuspect books one INVALID_ARGUMENT by what a proof of its payload
// says.
func (r *results) resolveSuspect(a answer, proof fcm.Answer) {
	switch proof.Outcome {
	case fcm.Accepted:
		r.setInvalid(a, push.ReceiptInvalidArgument)
	case fcm.Waiting:
		r.wait(proof.NotBefore)
	case fcm.Misconfigured:
		r.stopWith(stop{reason: stopCredentials, answer: proof})
	default:
		r.setFailed(a.target, push.ReceiptRefused, proof.Text)
	}
}

// release gives the batch back: what waits, until its time.
func (r *results) release() {
	r.batch.Lease = push.Lease{}
	r.batch.NotBefore = r.retryAt
	if r.retryAt.IsZero() || r.stop.reason == stopPaused || r.stop.reason == stopCredentials {
		r.batch.NotBefore = r.now()
	}
}
