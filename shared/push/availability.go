package push

import (
	"cmp"
	"slices"
	"time"
)

// An AvailabilityState says whether push reaches a customer.
type AvailabilityState string

// The states of availability. A customer who is muted and silent is muted.
const (
	StateReachable   AvailabilityState = "reachable"   // there is a valid token, and none of the other states holds
	StateMuted       AvailabilityState = "muted"       // every valid token has notifications off
	StateSilent      AvailabilityState = "silent"      // no valid token was seen, or reported anything, for StaleAfter
	StateUnreachable AvailabilityState = "unreachable" // there is no valid token
)

// Evidence of the state of availability. For an unreachable customer whose tokens are
// all invalid it is the code of the last flag.
const (
	EvidenceSeen    = "token_seen"        // reachable: a valid token was seen, or reported something, within StaleAfter
	EvidenceOff     = "notifications_off" // muted
	EvidenceNotSeen = "not_seen"          // silent
	EvidenceNoToken = "no_token"          // unreachable: there is no token at all
)

// StaleAfter is how long a token may be unseen before it counts as stale, and a
// customer as silent (Google advises a month).
const StaleAfter = 30 * 24 * time.Hour

// Availability is a state with its reason.
type Availability struct {
	State    AvailabilityState `json:"state" enum:"reachable,muted,silent,unreachable" doc:"reachable; muted: every valid token has notifications off; silent: no valid token was seen, and none reported anything, for 30 days; unreachable: no valid token"`
	Since    time.Time         `json:"since" doc:"when the state began"`
	Evidence string            `json:"evidence" doc:"token_seen, notifications_off, not_seen, no_token, or the code that the last token was found invalid by"`
}

// Notifications says whether the phone shows notifications.
type Notifications string

// Whether notifications are on, as the app reports it.
const (
	NotificationsUnknown Notifications = ""
	NotificationsOn      Notifications = "on"
	NotificationsOff     Notifications = "off"
)

// CheckNotifications returns the fault of a report, "" if there is none.
func CheckNotifications(n Notifications) string {
	switch n {
	case NotificationsUnknown, NotificationsOn, NotificationsOff:
		return ""
	}
	return "must be on or off"
}

// AvailabilityAt returns the availability of the customer at now. The state of the
// last event keeps the time at which it began. A customer without an event was
// unreachable from the beginning. The state silent comes by itself and began when
// StaleAfter was over.
func (c *Customer) AvailabilityAt(now time.Time) Availability {
	a := c.computeAvailability(now)
	switch {
	case a.State == c.Reported.State:
		return c.Reported
	case a.State == StateUnreachable && c.Reported.State == "":
		a.Since = c.CreatedAt
	}
	return a
}

// computeAvailability returns the availability at now without regard to the last event: its
// states other than silent begin now.
func (c *Customer) computeAvailability(now time.Time) Availability {
	valid := c.SelectTokens(AllDevices)
	seen := c.lastSeen()
	switch {
	case len(valid) == 0:
		return Availability{StateUnreachable, now, c.lastFlagCode()}
	case c.HasAllMuted():
		return Availability{StateMuted, now, EvidenceOff}
	case now.Sub(seen) > StaleAfter:
		return Availability{StateSilent, seen.Add(StaleAfter), EvidenceNotSeen}
	}
	return Availability{StateReachable, now, EvidenceSeen}
}

// HasAllMuted reports whether there are valid tokens, and all have notifications off.
func (c *Customer) HasAllMuted() bool {
	valid := c.SelectTokens(AllDevices)
	return len(valid) > 0 && !slices.ContainsFunc(valid, func(t Token) bool { return t.Notifications != NotificationsOff })
}

// lastSeen returns when a valid token was last active, zero if there is none.
func (c *Customer) lastSeen() (at time.Time) {
	for _, t := range c.SelectTokens(AllDevices) {
		if active := t.LastActive(); active.After(at) {
			at = active
		}
	}
	return at
}

// lastFlagCode returns the code of the last flag.
func (c *Customer) lastFlagCode() string {
	var last *TokenFlag
	for _, t := range c.Tokens {
		if t.Invalid != nil && (last == nil || t.Invalid.At.After(last.At)) {
			last = t.Invalid
		}
	}
	if last == nil {
		return EvidenceNoToken
	}
	return cmp.Or(last.Code, EvidenceNoToken)
}

// SilentDay returns the day, as in 2026-11-24, on which a reachable customer becomes
// silent unless a token is seen before: the first day that begins after the time is
// over. It is "" for all others.
func (c *Customer) SilentDay() string {
	if c.Reported.State != StateReachable {
		return ""
	}
	return firstDayAfter(c.lastSeen().Add(StaleAfter))
}
