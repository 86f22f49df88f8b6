package push

import (
	"strconv"
	"time"
)

// Types of the events that go to the topic push-events.
const (
	TokenInvalidated    = "token.invalidated"
	AvailabilityChanged = "customer.availability.changed"
	MailingCompleted    = "mailing.completed"
)

// An Event tells other systems what happened, after it was stored. It may come
// twice (ID is the same then) and late (Version is lower than one seen before).
type Event struct {
	ID      string // stable: the same fact has the same id
	Type    string
	Subject string // "customers/{id}" or "mailings/{id}"
	Time    time.Time
	Data    any // one of the Data types below
}

// AvailabilityData is what customer.availability.changed says.
type AvailabilityData struct {
	Customer      string `json:"customer"`
	PushAvailable bool   `json:"pushAvailable"`
	Version       int64  `json:"version"` // of the customer: drop what is lower than one seen
}

// InvalidatedData is what token.invalidated says.
type InvalidatedData struct {
	Customer string `json:"customer"`
	TokenID  string `json:"tokenId"`
	Invalid
	Version int64 `json:"version"`
}

// CompletedData is what mailing.completed says.
type CompletedData struct {
	Mailing string `json:"mailing"`
	State   State  `json:"state"`
	// CreatedBy is who handed the mailing in, absent where that is not known.
	CreatedBy Caller `json:"createdBy,omitempty"`
	Totals
}

// AvailabilityEvent tells whether c can be reached since its reachability last
// changed.
func AvailabilityEvent(c *Customer, at time.Time) Event {
	return Event{
		ID:   c.Key() + "-a" + strconv.FormatInt(c.Availability, 10),
		Type: AvailabilityChanged, Subject: "customers/" + c.ID, Time: at,
		Data: AvailabilityData{Customer: c.ID, PushAvailable: c.Reachable(), Version: c.Availability},
	}
}

// InvalidatedEvent tells that a token was marked invalid.
func InvalidatedEvent(c *Customer, t Token) Event {
	return Event{
		ID:   t.ID + "-" + strconv.FormatInt(t.Invalid.At.UnixMicro(), 36),
		Type: TokenInvalidated, Subject: "customers/" + c.ID, Time: t.Invalid.At,
		Data: InvalidatedData{Customer: c.ID, TokenID: t.ID, Invalid: *t.Invalid, Version: c.Version},
	}
}

// CompletedEvent tells that a mailing has ended and no token of it is pending.
func CompletedEvent(m *Mailing) Event {
	e := Event{ID: m.ID + "-completed", Type: MailingCompleted, Subject: "mailings/" + m.ID, Time: m.CompletedAt}
	d := CompletedData{Mailing: m.ID, State: m.State, CreatedBy: m.CreatedBy}
	if m.Totals != nil {
		d.Totals = *m.Totals
	}
	e.Data = d
	return e
}
