package deliver

import (
	"time"

	"carillon.example/shared/push"
)

// historyAge is how long an answer counts when later answers are weighed.
const historyAge = 10 * time.Second

// A groupHistory has FCM's last answers to one instance for one group, and the tokens
// that FCM accepted last. It has no lock: groupStore.mu guards it.
type groupHistory struct {
	answers    []pastAnswer // at most neighbours, oldest first
	controls   []control    // at most maxControls, the latest first, of different customers
	unaccepted int          // invalid answers as long as controls is empty
}

// pastAnswer is an answer of FCM about a token.
type pastAnswer struct {
	invalid bool
	at      time.Time
}

// A control is a push token that FCM accepted lately.
type control struct {
	customer string // the customer's id
	token    string // the push token; it must not be logged
	kind     push.Kind
	at       time.Time
}

// recentAnswers returns the answers that still count, oldest first; true is an invalid one.
func (h *groupHistory) recentAnswers(now time.Time) []bool {
	var out []bool
	for _, a := range h.answers {
		if now.Sub(a.at) <= historyAge {
			out = append(out, a.invalid)
		}
	}
	return out
}

// addAnswer adds an answer.
func (h *groupHistory) addAnswer(invalid bool, at time.Time) {
	if invalid && len(h.controls) == 0 {
		h.unaccepted++
	}
	h.answers = append(h.answers, pastAnswer{invalid, at})
	if extra := len(h.answers) - neighbours; extra > 0 {
		h.answers = append(h.answers[:0], h.answers[extra:]...)
	}
}

// addControl adds an accepted token as a control token. A customer's tokens count once,
// so that one customer alone does not make the answers for a group credible.
func (h *groupHistory) addControl(c control) {
	kept := []control{c}
	for _, old := range h.controls {
		if old.customer != c.customer && len(kept) < maxControls {
			kept = append(kept, old)
		}
	}
	h.controls, h.unaccepted = kept, 0
}
