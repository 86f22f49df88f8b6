package push

import "time"

// MaxTokens is how many tokens a customer keeps by default; one more pushes out
// an invalid one, or the one longest unseen.
const MaxTokens = 20

// MaxApp is the longest name of an app in bytes.
const MaxApp = 200

// CheckApp says what is wrong with the name of an app, "" if nothing is.
func CheckApp(app string) string {
	if app == "" {
		return ""
	}
	return checkText(app, MaxApp)
}

// TokenLife is how long an Android token may go unseen: FCM calls it expired
// after 270 days and refuses it from then on.
const TokenLife = 270 * 24 * time.Hour

// A Registration is a push token that a customer's device reports.
type Registration struct {
	Kind          Kind
	Value         string
	Platform      Platform
	App           string
	Device        string        // a stable id that the app keeps across reinstalls; "": not said
	Notifications Notifications // whether the phone shows them; "": not said
	TimeZone      string        // of the customer, by the phone; "": not said
	Limits        *Limits       // of an app that registers by itself; nil: the retailer's own word
	AddedAt       time.Time     // imports only: when it was first registered; zero: now
	SeenAt        time.Time     // imports only: when the device last reported it; zero: now
}

// ExpiryDay is the day on which a token last seen then stops being valid, as in
// 2026-11-24: the first that begins when life is over. Days instead of moments
// keep the index of what is due from growing with the clock. Only Android's
// tokens expire; for others it is "".
func ExpiryDay(p Platform, seen time.Time, life time.Duration) string {
	if p != Android {
		return ""
	}
	return firstDayAfter(seen.Add(life))
}

// firstDayAfter is the first day in UTC that begins at or after a moment.
func firstDayAfter(t time.Time) string { return Day(t.Add(24*time.Hour - 1)) }

// Day is the date of a moment in UTC, as in 2026-11-24.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
