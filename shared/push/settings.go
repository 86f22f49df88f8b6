package push

import "time"

// MutedCustomers says whether mailings go to customers who have notifications off on
// every phone.
type MutedCustomers string

// MutedSend is the default: a phone that shows no notifications still receives data.
// MutedSkip leaves muted customers out of mailings.
const (
	MutedSend MutedCustomers = "send"
	MutedSkip MutedCustomers = "skip"
)

// WrongSenderTokens says whether tokens with the answer SENDER_ID_MISMATCH are
// flagged.
type WrongSenderTokens string

// WrongSenderFlag is the default: they are flagged with that code, and left out of
// later mailings. WrongSenderKeep counts them, and sends to them again.
const (
	WrongSenderFlag WrongSenderTokens = "flag"
	WrongSenderKeep WrongSenderTokens = "keep"
)

// Settings are the defaults of all mailings.
type Settings struct {
	Revision int64 `json:"-"` // increases with each write; 0: never stored

	Devices DeviceSelection `json:"devices" enum:"all,latest" doc:"which of a customer's tokens get a mailing that does not set devices"`
	Muted   MutedCustomers  `json:"muted,omitempty" enum:"skip,send" doc:"whether mailings go to customers who have notifications off on every phone; absent: send"`

	WrongSender WrongSenderTokens `json:"wrongSender,omitempty" enum:"flag,keep" doc:"whether tokens that FCM calls another sender's are flagged, with the code SENDER_ID_MISMATCH; absent: flag"`

	Window *Window `json:"window,omitempty" doc:"hours of each customer's own time zone in which mailings without a window are sent; absent: any time. Messages to one customer are sent at once"`

	ChangedBy Caller     `json:"changedBy,omitempty" readOnly:"true" doc:"who changed the settings last; ignored in requests"`
	ChangedAt *time.Time `json:"changedAt,omitempty" readOnly:"true" doc:"when the settings were changed last; ignored in requests"`
}

// DefaultSettings are the settings if none are stored.
func DefaultSettings() Settings {
	return Settings{Devices: AllDevices, Muted: MutedSend, WrongSender: WrongSenderFlag}
}
