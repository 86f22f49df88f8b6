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
	MailingStarted      = "mailing.started"
	MailingPaused       = "mailing.paused"
	MailingCompleted    = "mailing.completed"
	MessageOpened       = "message.opened"
)

// An Event reports a change to other systems, after the change was stored. It may be
// published twice (with the same ID) and late (with a lower Version than an earlier
// one).
type Event struct {
	ID      string // the same fact always has the same id
	Type    string
	Subject string // "customers/{id}" or "mailings/{id}"
	Time    time.Time
	Data    any // one of the Data types below
}

// AvailabilityData is the data of customer.availability.changed.
type AvailabilityData struct {
	Customer      string       `json:"customer"`
	PushAvailable bool         `json:"pushAvailable"`
	Availability  Availability `json:"availability"`
	Version       int64        `json:"version"` // of the customer: drop what is lower than one seen
}

// InvalidatedData is the data of token.invalidated.
type InvalidatedData struct {
	Customer string   `json:"customer"`
	TokenID  string   `json:"tokenId"`
	Platform Platform `json:"platform,omitempty"`
	App      string   `json:"app,omitempty"`
	TokenFlag
	Version int64 `json:"version"`
}

// SupersededData is the data of token.superseded.
type SupersededData struct {
	Customer string   `json:"customer"`
	TokenID  string   `json:"tokenId"`
	Platform Platform `json:"platform,omitempty"`
	App      string   `json:"app,omitempty"`
	Code     string   `json:"code"` // always CodeSuperseded
	By       string   `json:"by"`   // id of the token that took its place
	Version  int64    `json:"version"`
}

// ErasedData is the data of customer.erased.
type ErasedData struct {
	Customer string `json:"customer"`
	Version  int64  `json:"version"`
}

// MailingData is what every event of a mailing says about it.
type MailingData struct {
	Mailing string   `json:"mailing"`
	Name    string   `json:"name,omitempty"`
	Tags    []string `json:"tags,omitempty"`
	// Title is the title of the notification of the first variant. It is left out if the
	// mailing goes to one customer, because it may have personal data.
	Title string `json:"title,omitempty"`
	State State  `json:"state"`
	// CreatedBy is the caller who created the mailing, absent if unknown.
	CreatedBy   Caller     `json:"createdBy,omitempty"`
	DryRun      bool       `json:"dryRun,omitempty"`
	CreatedAt   time.Time  `json:"createdAt"`
	StartedAt   *time.Time `json:"startedAt,omitempty"`
	CompletedAt *time.Time `json:"completedAt,omitempty"`
	ExpiresAt   time.Time  `json:"expiresAt"`
}

// StartedData is the data of mailing.started.
type StartedData struct {
	MailingData
	Estimated int64 `json:"estimated"` // customers of the audience
}

// PausedData is the data of mailing.paused.
type PausedData struct {
	MailingData
	PausedReason PauseReason `json:"pausedReason"`
	PausedDetail string      `json:"pausedDetail,omitempty"`
}

// CompletedData is the data of mailing.completed.
type CompletedData struct {
	MailingData
	Totals
}

// OpenedData is the data of message.opened.
type OpenedData struct {
	Mailing  string    `json:"mailing,omitempty"` // its id; or
	Message  string    `json:"message,omitempty"` // that of the message to one customer
	Name     string    `json:"name,omitempty"`    // of the mailing
	Tags     []string  `json:"tags,omitempty"`    // of the mailing
	Variant  string    `json:"variant,omitempty"` // that the customer got
	Customer string    `json:"customer"`
	TokenID  string    `json:"tokenId"`
	Platform Platform  `json:"platform,omitempty"`
	App      string    `json:"app,omitempty"`
	At       time.Time `json:"at"` // by the clock of the phone, but between the sending and now
}

// AvailabilityEvent makes the event of the state of c since it last changed. A
// customer without an event before is unreachable since the time of the version. Two
// events with the same version say the same.
func AvailabilityEvent(c *Customer, at time.Time) Event {
	state := c.Reported
	if state.State == "" {
		state = Availability{StateUnreachable, time.UnixMicro(c.Availability).UTC(), EvidenceNoToken}
	}
	return Event{
		ID:   c.DocumentKey() + "-a" + strconv.FormatInt(c.Availability, 10),
		Type: AvailabilityChanged, Subject: "customers/" + c.ID, Time: at,
		Data: AvailabilityData{Customer: c.ID, PushAvailable: c.HasValidToken(), Availability: state, Version: c.Availability},
	}
}

// InvalidatedEvent makes the event that a token was flagged.
func InvalidatedEvent(c *Customer, t Token) Event {
	return Event{
		ID:   t.ID + "-" + strconv.FormatInt(t.Invalid.At.UnixMicro(), 36),
		Type: TokenInvalidated, Subject: "customers/" + c.ID, Time: t.Invalid.At,
		Data: InvalidatedData{Customer: c.ID, TokenID: t.ID, Platform: t.Platform, App: t.App, TokenFlag: *t.Invalid, Version: c.Version},
	}
}

// SupersededEvent makes the event that another token of the same phone replaced t at
// that time.
func SupersededEvent(c *Customer, t Token, by string, at time.Time) Event {
	return Event{
		ID:   t.ID + "-s" + strconv.FormatInt(at.UnixMicro(), 36),
		Type: TokenSuperseded, Subject: "customers/" + c.ID, Time: at,
		Data: SupersededData{Customer: c.ID, TokenID: t.ID, Platform: t.Platform, App: t.App, Code: CodeSuperseded, By: by, Version: c.Version},
	}
}

// ErasedEvent makes the event that a customer was erased at that time.
func ErasedEvent(c *Customer, at time.Time) Event {
	return Event{
		ID:   c.DocumentKey() + "-e" + strconv.FormatInt(c.Version, 10),
		Type: CustomerErased, Subject: "customers/" + c.ID, Time: at,
		Data: ErasedData{Customer: c.ID, Version: c.Version},
	}
}

// OpenedEvent makes the event that a mailing or message was opened on a phone.
func OpenedEvent(of string, d OpenedData) Event {
	return Event{ID: ReportID(of, d.TokenID) + "-opened", Type: MessageOpened, Subject: "customers/" + d.Customer, Time: d.At, Data: d}
}

// CompletedEvent makes the event that a mailing has ended and none of its tokens is
// pending.
func CompletedEvent(m *Mailing) Event {
	e := Event{ID: m.ID + "-completed", Type: MailingCompleted, Subject: "mailings/" + m.ID, Time: m.CompletedAt}
	d := CompletedData{MailingData: dataOf(m)}
	if m.Totals != nil {
		d.Totals = *m.Totals
	}
	e.Data = d
	return e
}

// StartedEvent makes the event that a mailing has started.
func StartedEvent(m *Mailing) Event {
	return Event{ID: m.ID + "-started", Type: MailingStarted, Subject: "mailings/" + m.ID, Time: m.StartedAt,
		Data: StartedData{MailingData: dataOf(m), Estimated: m.Estimated}}
}

// PausedEvent makes the event that a mailing was paused at a time.
func PausedEvent(m *Mailing, at time.Time) Event {
	return Event{ID: m.ID + "-paused-" + strconv.FormatInt(at.UnixMicro(), 36), Type: MailingPaused, Subject: "mailings/" + m.ID, Time: at,
		Data: PausedData{MailingData: dataOf(m), PausedReason: m.PausedReason, PausedDetail: m.PausedDetail}}
}

// dataOf returns the data that all events of a mailing have.
func dataOf(m *Mailing) MailingData {
	d := MailingData{
		Mailing: m.ID, Name: m.Name, Tags: m.Tags, State: m.State, CreatedBy: m.CreatedBy, DryRun: m.DryRun,
		CreatedAt: m.CreatedAt.UTC(), StartedAt: utcOrNil(m.StartedAt), CompletedAt: utcOrNil(m.CompletedAt), ExpiresAt: m.ExpiresAt.UTC(),
	}
	if m.Recipient == "" {
		d.Title = m.Title
	}
	return d
}

// utcOrNil returns a time in UTC, nil for the zero time.
func utcOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
