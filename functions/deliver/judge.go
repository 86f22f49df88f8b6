package deliver

import (
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// evidence is what is known about the payload that an answer was given to.
type evidence struct {
	breakerOpen bool        // the share of INVALID_ARGUMENT cannot be true
	proven      bool        // FCM accepted this payload, but for ids, before the call
	accepted    bool        // a token of this batch accepted this payload
	proof       *fcm.Answer // what FCM said when it was asked to prove it; nil: not asked
}

// A decision is what becomes of an answer that says, or may say, that a token is
// invalid.
type decision int

const (
	flagToken    decision = iota + 1 // the token is at fault
	refuseTarget                     // the payload is at fault: nobody is flagged
	askProof                         // it is not known which, until the payload is proven
	waitForProof                     // FCM cannot be asked now: the target is sent again later
	stopSending                      // our credentials are at fault
)

// judgeInvalid is the one place that decides whether an answer flags a token.
//
// UNREGISTERED is always the token's fault. INVALID_ARGUMENT is, if FCM names
// the token, unless the breaker is open; what other answers in the batch say
// does not matter. If FCM names nothing, it is the token's fault when FCM is
// known to accept the payload.
func judgeInvalid(a fcm.Answer, e evidence) decision {
	named := a.Outcome == fcm.Invalid
	switch {
	case named && a.Code != push.CodeInvalidArgument: // UNREGISTERED
		return flagToken
	case !e.breakerOpen && (named || e.proven || e.accepted):
		return flagToken
	case e.proof == nil:
		return askProof
	}

	switch e.proof.Outcome {
	case fcm.Accepted:
		return flagToken
	case fcm.Waiting:
		return waitForProof
	case fcm.Misconfigured:
		return stopSending
	}
	if e.proof.Provisional && (named || e.accepted) {
		return flagToken // the proof failed for a topic's size alone, which says nothing of tokens
	}
	return refuseTarget
}

// judge books a suspect by what is known about its payload. It reports whether
// that needs a proof that was not asked for yet.
func (r *results) judge(a answer, e evidence) (open bool) {
	switch judgeInvalid(a.Answer, e) {
	case flagToken:
		r.setInvalid(a, push.ResultInvalidArgument)
	case refuseTarget:
		r.setFailed(a.target, push.ResultRefused, e.proof.Text)
	case waitForProof:
		r.due[a.target] = e.proof.NotBefore
	case stopSending:
		r.stopWith(stop{reason: stopCredentials, answer: *e.proof})
	case askProof:
		return true
	}
	return false
}
