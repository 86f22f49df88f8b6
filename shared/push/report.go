package push

import (
	"cmp"
	"fmt"
	"time"
)

// A ReportType says what a phone did with a mailing or a message.
type ReportType string

// What phones report.
const (
	ReportDelivered ReportType = "delivered" // the app received it
	ReportOpened    ReportType = "opened"    // the customer tapped it
	ReportDismissed ReportType = "dismissed" // the customer swiped it away
)

// ReportTypes lists all types.
func ReportTypes() []ReportType {
	return []ReportType{ReportDelivered, ReportOpened, ReportDismissed}
}

// ShowsActivity reports whether the phone was active, so that push reaches its customer.
func (t ReportType) ShowsActivity() bool { return t == ReportDelivered || t == ReportOpened }

const (
	// MaxReports is how many events one request has at most.
	MaxReports = 100
	// ReportsFor is how long after the lifetime of a mailing reports are counted. Batches,
	// which say whom the mailing was for, are kept two days longer.
	ReportsFor = 28 * 24 * time.Hour
	// ReportsRefreshed is how old the last activity of a token has to be for a report
	// to be stored as a newer one. So reports write a customer once a day at most.
	ReportsRefreshed = 24 * time.Hour
)

// A PhoneEvent is one event as an app or the retailer's backend reports it.
type PhoneEvent struct {
	Mailing string     `json:"mailing,omitempty" maxLength:"100" doc:"the id of the mailing, which the phone got as data.mailing_id; the id of a message to one customer is accepted, too"`
	Message string     `json:"message,omitempty" maxLength:"100" doc:"instead of mailing: the id of the message to one customer"`
	Token   string     `json:"token,omitempty" doc:"the registration token of the phone"`
	FID     string     `json:"fid,omitempty" doc:"instead of token: the Firebase installation id of the phone"`
	Type    ReportType `json:"type" enum:"delivered,opened,dismissed"`
	At      *time.Time `json:"at,omitempty" doc:"when the event happened; absent, or in the future: now"`
}

// Check returns every fault of the event, at that place.
func (e *PhoneEvent) Check(at string) Faults {
	var f Faults
	if (e.Mailing == "") == (e.Message == "") {
		f.add(at, "needs exactly one of mailing and message")
	}
	if (e.Token == "") == (e.FID == "") {
		f.add(at, "needs exactly one of token and fid")
	}

	for _, x := range []struct{ field, value string }{{".token", e.Token}, {".fid", e.FID}} {
		if why := CheckToken(x.value); why != "" && x.value != "" {
			f.add(at+x.field, "%s", why)
		}
	}

	return f
}

// Report returns the report of a checked event. customer is the customer's id, "" if
// it is not known.
func (e *PhoneEvent) Report(customer string, now time.Time) Report {
	r := Report{Of: cmp.Or(e.Mailing, e.Message), Customer: customer, TokenID: TokenID(cmp.Or(e.Token, e.FID)), Type: e.Type, At: now}
	if e.At != nil && e.At.Before(now) {
		r.At = e.At.UTC()
	}
	return r
}

// CheckReportCount returns the fault of a request with n events.
func CheckReportCount(n int) Faults {
	if n == 0 || n > MaxReports {
		return Faults{{Location: "body.events", Message: fmt.Sprintf("has %d events; it must have 1 to %d", n, MaxReports)}}
	}
	return nil
}

// A Report says what a phone did with a mailing or a message.
type Report struct {
	Of       string // the id of the mailing or message
	Customer string // the customer's id; "": the one who has the token now
	TokenID  string
	Type     ReportType
	At       time.Time
}

// ReportID returns the name of the document of what a token reported of a mailing or
// message. It is a hash, so that writes are spread evenly over the keys.
func ReportID(of, tokenID string) string { return hashText("report\x00" + of + "\x00" + tokenID) }

// A ReportResult counts the events of a request by what happened to them. Their sum is the
// number of events.
type ReportResult struct {
	Counted  int `json:"counted" doc:"events that were counted by this request"`
	Repeated int `json:"repeated" doc:"events that were counted before"`
	Unknown  int `json:"unknown" doc:"events that are not counted: there is no such mailing or message any more, or it was not for this token"`
}

// Reported counts the targets whose phones reported something.
type Reported struct {
	Delivered int64 `json:"delivered" doc:"phones that received it"`
	Opened    int64 `json:"opened" doc:"phones on which it was opened"`
	Dismissed int64 `json:"dismissed" doc:"phones on which it was dismissed"`
}

// Add counts n reports of a type.
func (r *Reported) Add(t ReportType, n int64) {
	switch t {
	case ReportDelivered:
		r.Delivered += n
	case ReportOpened:
		r.Opened += n
	case ReportDismissed:
		r.Dismissed += n
	}
}

// ReportCounts has what phones reported of a mailing.
type ReportCounts struct {
	Reported
	Variants []Reported `json:"variants,omitempty"` // by the index of the variant; nil without variants
}

// CountsOfVariant returns the counts of the variant with that index.
func (c *ReportCounts) CountsOfVariant(i int) Reported {
	if i < len(c.Variants) {
		return c.Variants[i]
	}
	return Reported{}
}

// ReportsUntil returns until when reports of the mailing are counted.
func (m *Mailing) ReportsUntil() time.Time { return m.ExpiresAt.Add(ReportsFor) }
