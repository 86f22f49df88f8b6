package push

import (
	"strconv"
	"time"
)

// Types of the events that go to the topic push-events.
const (
	TokenInvalidated    = "token.invalidated"
	TokenSuperseded     = "token.superseded"
	CustomerErased      = "customer.erased"
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
	Customer      string       `json:"customer"`
	PushAvailable bool         `json:"pushAvailable"`
	Availability  Availability `json:"availability"`
	Version       int64        `json:"version"` // of the customer: drop what is lower than one seen
}

// InvalidatedData is what token.invalidated says.
type InvalidatedData struct {
	Customer string `json:"customer"`
	TokenID  string `json:"tokenId"`
	TokenFlag
	Version int64 `json:"version"`
}

// SupersededData is what token.superseded says.
type SupersededData struct {
	Customer string `json:"customer"`
	TokenID  string `json:"tokenId"`
	Code     string `json:"code"` // always CodeSuperseded
	By       string `json:"by"`   // id of the token that took its place
	Version  int64  `json:"version"`
}

// ErasedData is what customer.erased says.
type ErasedData struct {
	Customer string `json:"customer"`
	Version  int64  `json:"version"`
}

// CompletedData is what mailing.completed says.
type CompletedData struct {
	Mailing string   `json:"mailing"`
	Name    string   `json:"name,omitempty"`
	Tags    []string `json:"tags,omitempty"`
	State   State    `json:"state"`
	// CreatedBy is who handed the mailing in, absent where that is not known.
	CreatedBy Caller `json:"createdBy,omitempty"`
	Totals
}

// AvailabilityEvent tells the state of c since it last changed. Somebody of whom
// none was told is unreachable since the version's time: the same version says
// the same.
func AvailabilityEvent(c *Customer, at time.Time) Event {
	state := c.Reported
	if state.State == "" {
		state = Availability{StateUnreachable, time.UnixMicro(c.Availability).UTC(), EvidenceNoToken}
	}
	return Event{
		ID:   c.Key() + "-a" + strconv.FormatInt(c.Availability, 10),
		Type: AvailabilityChanged, Subject: "customers/" + c.ID, Time: at,
		Data: AvailabilityData{Customer: c.ID, PushAvailable: c.Reachable(), Availability: state, Version: c.Availability},
	}
}

// InvalidatedEvent tells that a token was marked invalid.
func InvalidatedEvent(c *Customer, t Token) Event {
	return Event{
		ID:   t.ID + "-" + strconv.FormatInt(t.Invalid.At.UnixMicro(), 36),
		Type: TokenInvalidated, Subject: "customers/" + c.ID, Time: t.Invalid.At,
		Data: InvalidatedData{Customer: c.ID, TokenID: t.ID, TokenFlag: *t.Invalid, Version: c.Version},
	}
}

// SupersededEvent tells that another token of the same phone took the place of t
// at that time.
func SupersededEvent(c *Customer, t Token, by string, at time.Time) Event {
	return Event{
		ID:   t.ID + "-s" + strconv.FormatInt(at.UnixMicro(), 36),
		Type: TokenSuperseded, Subject: "customers/" + c.ID, Time: at,
		Data: SupersededData{Customer: c.ID, TokenID: t.ID, Code: CodeSuperseded, By: by, Version: c.Version},
	}
}

// ErasedEvent tells that a customer was erased, at that time.
func ErasedEvent(c *Customer, at time.Time) Event {
	return Event{
		ID:   c.Key() + "-e" + strconv.FormatInt(c.Version, 10),
		Type: CustomerErased, Subject: "customers/" + c.ID, Time: at,
		Data: ErasedData{Customer: c.ID, Version: c.Version},
	}
}

// CompletedEvent tells that a mailing has ended and no token of it is pending.
func CompletedEvent(m *Mailing) Event {
	e := Event{ID: m.ID + "-completed", Type: MailingCompleted, Subject: "mailings/" + m.ID, Time: m.CompletedAt}
	d := CompletedData{Mailing: m.ID, Name: m.Name, Tags: m.Tags, State: m.State, CreatedBy: m.CreatedBy}
	if m.Totals != nil {
		d.Totals = *m.Totals
	}
	e.Data = d
	return e
}
