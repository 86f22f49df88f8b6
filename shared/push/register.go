package push

import "time"

// MaxTokens is how many tokens a customer has by default. One more replaces an
// invalid one, or the one not seen for the longest time.
const MaxTokens = 20

// MaxApp is the longest name of an app in bytes.
const MaxApp = 200

// CheckApp returns the fault of the name of an app, "" if there is none.
func CheckApp(app string) string {
	if app == "" {
		return ""
	}
	return checkText(app, MaxApp)
}

// TokenLife is how long an Android token may be unseen: after 270 days FCM calls it
// expired and refuses it.
const TokenLife = 270 * 24 * time.Hour

// A Registration is a push token that a device of a customer reports.
type Registration struct {
	Kind          Kind
	Value         string
	Platform      Platform
	App           string
	Device        string        // a stable id that the app keeps across reinstalls; "": not said
	Notifications Notifications // whether the phone shows them; "": not said
	TimeZone      string        // of the customer, by the phone; "": not said
	Limits        *Limits       // of an app that registers by itself; nil: the retailer registers it
	AddedAt       time.Time     // imports only: when it was first registered; zero: now
	SeenAt        time.Time     // imports only: when the device last reported it; zero: now
}

// ExpiryDay returns the day on which a token that was last seen then becomes invalid,
// as in 2026-11-24: the first day that begins after its life. Days, not times, keep
// the index of due customers from growing with the clock. Only tokens of Android
// expire; for others it is "".
func ExpiryDay(p Platform, seen time.Time, life time.Duration) string {
	if p != Android {
		return ""
	}
	return firstDayAfter(seen.Add(life))
}

// firstDayAfter returns the first day in UTC that begins at or after t.
func firstDayAfter(t time.Time) string { return DayOf(t.Add(24*time.Hour - 1)) }

// DayOf returns the date of t in UTC, as in 2026-11-24.
func DayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }
