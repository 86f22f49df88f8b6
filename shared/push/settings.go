package push

import "time"

// MutedCustomers says what becomes of customers who have notifications off on
// every phone.
type MutedCustomers string

// MutedSend is the default: a phone that shows no notification still takes data.
// MutedSkip leaves muted customers out of mailings.
const (
	MutedSend MutedCustomers = "send"
	MutedSkip MutedCustomers = "skip"
)

// WrongSenderTokens says what becomes of tokens that FCM calls another sender's
// (SENDER_ID_MISMATCH).
type WrongSenderTokens string

// WrongSenderFlag is the default: they are flagged with that code, and left out of
// later mailings. WrongSenderKeep counts them, and sends to them again.
const (
	WrongSenderFlag WrongSenderTokens = "flag"
	WrongSenderKeep WrongSenderTokens = "keep"
)

// Settings are the choices that hold for every mailing that does not say
// otherwise.
type Settings struct {
	Revision int64 `json:"-"` // grows with every write; 0: nobody has chosen

	Devices DeviceSelection `json:"devices" enum:"all,latest" doc:"which of a customer's tokens a mailing goes to that does not say"`
	Muted   MutedCustomers  `json:"muted,omitempty" enum:"skip,send" doc:"whether mailings go to customers who have notifications off on every phone; absent: send"`

	WrongSender WrongSenderTokens `json:"wrongSender,omitempty" enum:"flag,keep" doc:"whether tokens that FCM calls another sender's are flagged, with the code SENDER_ID_MISMATCH; absent: flag"`

	ChangedBy Caller     `json:"changedBy,omitempty" readOnly:"true" doc:"who changed them last; what a request says of it is not read"`
	ChangedAt *time.Time `json:"changedAt,omitempty" readOnly:"true" doc:"when they were changed last; what a request says of it is not read"`
}

// DefaultSettings hold where nobody has chosen.
func DefaultSettings() Settings {
	return Settings{Devices: AllDevices, Muted: MutedSend, WrongSender: WrongSenderFlag}
}
