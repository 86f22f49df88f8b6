package push

import (
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the image of a function need not have the time zone database
)

// A Window is the hours in which a mailing is sent, by the clock of each customer's own
// time zone. The zero Window is faulty; see Check.
type Window struct {
	From     string    `json:"from" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" patternDescription:"a time of day like 09:30" doc:"when sending begins, as the customer's clock shows it"`
	To       string    `json:"to" pattern:"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$" patternDescription:"a time of day like 21:00, up to 24:00" doc:"when sending ends; not later than from: on the next day"`
	Days     []Weekday `json:"days,omitempty" enum:"sun,mon,tue,wed,thu,fri,sat" doc:"the days on which sending begins; absent: every day"`
	TimeZone string    `json:"timeZone,omitempty" doc:"the time zone (a name of the IANA database) of customers whose own is not known; absent: UTC"`
}

// String returns a window as one line for people, "" for none.
func (w *Window) String() string {
	if w == nil {
		return ""
	}
	parts := []string{w.From + "-" + w.To}
	for _, day := range w.Days {
		parts = append(parts, string(day))
	}
	return strings.TrimSpace(strings.Join(parts, " ") + " " + w.TimeZone)
}

// A Weekday is a day of the week as the API writes it.
type Weekday string

// weekdays are the days by time.Weekday.
var weekdays = []Weekday{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Check appends the faults of a window that a request has at a place.
func (w *Window) Check(f *Faults, at string) {
	from, okFrom := minutesOf(w.From)
	to, okTo := minutesOf(w.To)
	if !okFrom || from == minutesADay {
		f.add(at+".from", "must be a time of day like 09:30")
	}
	if !okTo {
		f.add(at+".to", "must be a time of day like 21:00, up to 24:00")
	}
	if okFrom && okTo && from == to {
		f.add(at+".to", "must differ from from; 00:00 to 24:00 is the whole day")
	}

	if w.Days != nil && len(w.Days) == 0 {
		f.add(at+".days", "is empty")
	}

	for i, day := range w.Days {
		place := at + ".days[" + strconv.Itoa(i) + "]"
		if !slices.Contains(weekdays, day) {
			f.add(place, "must be one of mon, tue, wed, thu, fri, sat and sun")
		} else if slices.Index(w.Days, day) < i {
			f.add(place, "is given twice")
		}
		if i == len(weekdays) {
			break // there are only seven days: the rest is given twice
		}
	}

	if why := CheckTimeZone(w.TimeZone); why != "" {
		f.add(at+".timeZone", "%s", why)
	}
}

const minutesADay = 24 * 60

// minutesOf reads a time of day, hh:mm, as minutes since midnight.
func minutesOf(s string) (int, bool) {
	h, m, found := strings.Cut(s, ":")
	hours, err := strconv.ParseUint(h, 10, 8)
	if !found || err != nil || len(h) != 2 {
		return 0, false
	}
	minutes, err := strconv.ParseUint(m, 10, 8)
	if err != nil || len(m) != 2 || minutes > 59 || hours > 24 || hours == 24 && minutes > 0 {
		return 0, false
	}
	return int(hours*60 + minutes), true
}

// ZoneFor returns the time zone by whose clock a customer gets the mailing: the customer's
// own, else the window's, else UTC. A name that the database does not have is skipped.
func (w *Window) ZoneFor(customers string) *time.Location {
	for _, name := range []string{customers, w.TimeZone} {
		if name == "" || name == "Local" {
			continue
		}
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	return time.UTC
}

// A Period is a time in which a mailing may be sent to the customers of one time zone.
// The zero Period is none.
type Period struct {
	Opens, Closes time.Time // it is open from Opens on, and before Closes
}

// Contains reports whether the period is open at a time.
func (p Period) Contains(t time.Time) bool { return !t.Before(p.Opens) && t.Before(p.Closes) }

// NextPeriod returns the first period of the window in a zone that has not ended at a time.
//
// When clocks are put forward and the hour of From or To is left out, the period begins
// or ends at the change. When they are put back and the hour comes twice, the period begins
// with the second From and ends with the first To: so it is open only while the clock shows
// a time within the hours. If nothing would be left of it, it ends with the second To.
func (w *Window) NextPeriod(t time.Time, zone *time.Location) Period {
	from, okFrom := minutesOf(w.From)
	to, okTo := minutesOf(w.To)
	if !okFrom || !okTo {
		return Period{}
	}
	if to <= from {
		to += minutesADay
	}

	// The period of yesterday may be open still. With one day a week the next one is up
	// to a week away, and eight days if clocks are changed between.
	year, month, day := t.In(zone).Date()
	for d := -1; d <= 8; d++ {
		date := time.Date(year, month, day+d, 12, 0, 0, 0, time.UTC) // as a date: no zone's clocks are changed
		if len(w.Days) > 0 && !slices.Contains(w.Days, weekdays[date.Weekday()]) {
			continue
		}
		opens := lastInstant(date, from, zone)
		closes := firstInstant(date, to, zone)
		if !closes.After(opens) {
			closes = lastInstant(date, to, zone)
		}
		if closes.After(opens) && closes.After(t) {
			return Period{opens, closes}
		}
	}

	return Period{}
}

// firstInstant returns when clocks of a zone show a time of a date, in minutes since its
// midnight, for the first time. For a time that is left out it is the change of clocks.
func firstInstant(date time.Time, minutes int, zone *time.Location) time.Time {
	return instantsOf(date, minutes, zone)[0]
}

// lastInstant is like firstInstant for the last time.
func lastInstant(date time.Time, minutes int, zone *time.Location) time.Time {
	all := instantsOf(date, minutes, zone)
	return all[len(all)-1]
}

// instantsOf returns when clocks of a zone show a time, in order: twice when clocks are put
// back, else once.
func instantsOf(date time.Time, minutes int, zone *time.Location) []time.Time {
	wall := time.Date(date.Year(), date.Month(), date.Day(), 0, minutes, 0, 0, time.UTC)
	var out []time.Time
	// The offsets that the zone has 26 hours before and after are tried. An instant is right
	// if the zone has at it the offset with which it was computed.
	for _, about := range []time.Time{wall.Add(-26 * time.Hour), wall.Add(26 * time.Hour)} {
		_, offset := about.In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if _, real := at.In(zone).Zone(); real == offset && (len(out) == 0 || !out[0].Equal(at)) {
			out = append(out, at)
		}
	}

	if len(out) > 0 {
		slices.SortFunc(out, time.Time.Compare)
		return out
	}

	// The clock skips the time. Computed with the offset before the change, it is an instant
	// after the change, which begins the zone's current offset.
	_, before := wall.Add(-26 * time.Hour).In(zone).Zone()
	change, _ := wall.Add(-time.Duration(before) * time.Second).In(zone).ZoneBounds()
	return []time.Time{change}
}

// PeriodsBetween returns the periods of the window in a zone that end after from and begin
// before until, in order.
func (w *Window) PeriodsBetween(from, until time.Time, zone *time.Location) []Period {
	var out []Period
	for at := from; ; {
		p := w.NextPeriod(at, zone)
		if p.Opens.IsZero() || !p.Opens.Before(until) {
			return out
		}
		out = append(out, p)
		at = p.Closes
	}
}

// NextPeriodFor returns the next period of a mailing's hours for a time zone: the zero Period if
// none begins before the mailing expires. A mailing without hours may always be sent.
func (m *Mailing) NextPeriodFor(zone string, now time.Time) Period {
	if m.Hours == nil {
		return Period{Opens: m.StartAt, Closes: m.ExpiresAt}
	}
	p := m.Hours.NextPeriod(now, m.Hours.ZoneFor(zone))
	if !p.Opens.Before(m.ExpiresAt) {
		return Period{}
	}
	return p
}
