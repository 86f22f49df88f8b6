package deliver

import (
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// payloadEvidence is what is known about the payload of an answer.
type payloadEvidence struct {
	breakerOpen bool        // there is more INVALID_ARGUMENT than can be true
	proven      bool        // FCM accepted this payload before the call, with other ids
	accepted    bool        // a token of this batch accepted this payload
	proof       *fcm.Answer // FCM's answer to a proof of it; nil: it was not asked
}

// A decision is the consequence of an answer that says, or may say, that a token is
// invalid.
type decision int

const (
	flagToken    decision = iota + 1 // the token is at fault
	refuseTarget                     // the payload is at fault: no token is flagged
	askProof                         // unknown which is at fault: the payload has to be proven
	waitForProof                     // FCM cannot be asked for a proof now: the target is sent again later
	stopSending                      // our credentials are at fault
)

// classifyInvalid decides whether an answer is the fault of its token. Whether the token is
// flagged is decided later, by decideInvalid.
//
// UNREGISTERED is always the token's fault. INVALID_ARGUMENT is the token's fault if
// FCM names the token, unless the breaker is open; other answers of the batch do not
// matter. If FCM names no field, it is the token's fault if FCM is known to accept
// the payload.
func classifyInvalid(a fcm.Answer, e payloadEvidence) decision {
	named := a.Class == fcm.Invalid
	switch {
	case named && a.Code != push.CodeInvalidArgument: // UNREGISTERED
		return flagToken
	case !e.breakerOpen && (named || e.proven || e.accepted):
		return flagToken
	case e.proof == nil:
		return askProof
	}

	switch e.proof.Class {
	case fcm.Accepted:
		return flagToken
	case fcm.Waiting:
		return waitForProof
	case fcm.Misconfigured:
		return stopSending
	}

	if e.proof.Provisional && (named || e.accepted) {
		return flagToken // the proof failed only because topics have a lower size limit
	}
	return refuseTarget
}

// decideAnswer gives an undecided answer its result by what is known about its payload. It
// reports whether a proof is needed first that was not asked for yet.
func (r *results) decideAnswer(a answer, e payloadEvidence) (open bool) {
	switch classifyInvalid(a.Answer, e) {
	case flagToken:
		r.setInvalid(a, push.ResultInvalidArgument)
	case refuseTarget:
		r.setFailed(a.target, push.ResultRefused, e.proof.Text)
	case waitForProof:
		r.due[a.target] = e.proof.NotBefore
	case stopSending:
		r.stopWith(stop{reason: stopCredentials, answer: *e.proof, project: r.projectOf(a.target)})
	case askProof:
		return true
	}

	return false
}
