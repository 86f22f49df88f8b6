package deliver

import (
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// payloadEvidence is what is known about the payload of an answer.
type payloadEvidence struct {
	breakerOpen bool        // there is more INVALID_ARGUMENT than can be true
	proven      bool        // FCM is recorded to accept this payload (Mailing.Proven)
	accepted    bool        // a token of this batch accepted this payload
	proof       *fcm.Answer // FCM's answer to a proof of it; nil: it was not asked
}

// An invalidCause says what is at fault for an answer which says, or may say, that a token is
// invalid, or what has to be done to find out.
type invalidCause int

const (
	tokenAtFault       invalidCause = iota + 1 // its result is invalid
	payloadAtFault                             // the target is refused: no token is flagged
	proofNeeded                                // unknown: the payload has to be proven first
	proofLater                                 // unknown, and FCM cannot be asked for a proof now: the target is sent again later
	credentialsAtFault                         // nothing more is sent
)

// classifyInvalid decides whether an answer is the fault of its token. Whether the token is
// flagged is decided later, by decideInvalid.
//
// UNREGISTERED is always the token's fault. INVALID_ARGUMENT is the token's fault if
// FCM names the token, unless the breaker is open; other answers of the batch do not
// matter. If FCM names no field, it is the token's fault if FCM is known to accept
// the payload.
func classifyInvalid(a fcm.Answer, e payloadEvidence) invalidCause {
	named := a.Class == fcm.Invalid
	switch {
	case named && a.Code != push.CodeInvalidArgument: // UNREGISTERED
		return tokenAtFault
	case !e.breakerOpen && (named || e.proven || e.accepted):
		return tokenAtFault
	case e.proof == nil:
		return proofNeeded
	}

	switch e.proof.Class {
	case fcm.Accepted:
		return tokenAtFault
	case fcm.Waiting:
		return proofLater
	case fcm.Misconfigured:
		return credentialsAtFault
	}

	if e.proof.Provisional && (named || e.accepted) {
		return tokenAtFault // the proof failed only because topics have a lower size limit
	}
	return payloadAtFault
}

// recordCause gives an undecided answer its result by what is known about its payload. It
// reports whether a proof is needed first that was not asked for yet.
func (r *results) recordCause(a answer, e payloadEvidence) (needsProof bool) {
	switch classifyInvalid(a.Answer, e) {
	case tokenAtFault:
		r.setInvalid(a, push.ResultInvalidArgument)
	case payloadAtFault:
		r.setResultWithReason(a.target, push.ResultRefused, e.proof.Text)
	case proofLater:
		r.due[a.target] = e.proof.NotBefore
	case credentialsAtFault:
		r.stopWith(stop{reason: stopCredentials, answer: *e.proof, project: r.projectOf(a.target)})
	case proofNeeded:
		return true
	}

	return false
}
