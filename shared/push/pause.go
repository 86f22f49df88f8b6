package push

// A PauseReason says why a mailing is paused.
type PauseReason string

// The reasons of a pause.
const (
	PausedByHand      PauseReason = "by_hand"
	PausedCredentials PauseReason = "credentials"         // FCM refuses our own account, or the answers do not come from FCM
	PausedWrongSender PauseReason = "wrong_sender"        // more tokens of another Firebase project than can be true
	PausedImplausible PauseReason = "implausible_invalid" // more invalid tokens than can be true
	PausedAudience    PauseReason = "audience_too_large"  // more customers than maxCustomers allows
)

// Implausible reports whether a mailing is paused because FCM's answers about tokens
// are not credible.
func (r PauseReason) Implausible() bool { return r == PausedImplausible || r == PausedWrongSender }

// Why a mailing is paused, as pausedBecause says it.
const (
	PausedTextByHand      = "paused by hand"
	PausedTextCredentials = "misconfigured credentials"
)

// PausedBecause returns reason and detail as one text. The API has it beside
// pausedReason and pausedDetail until the next release.
func (m *Mailing) PausedBecause() string {
	text := string(m.PausedReason)
	switch m.PausedReason {
	case "":
		return ""
	case PausedByHand:
		return PausedTextByHand
	case PausedCredentials, PausedWrongSender:
		text = PausedTextCredentials
	}

	if m.PausedDetail != "" {
		text += ": " + m.PausedDetail
	}
	return text
}
