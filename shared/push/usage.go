package push

import (
	"fmt"
	"time"
)

// MoveWait is how long the owner of a token must not have shown it before an app may
// move it to another customer.
const MoveWait = 24 * time.Hour

// Limits limits what the apps of one customer may register by themselves, in an hour
// and a day of UTC.
type Limits struct {
	PerHour, PerDay           int // registrations, moves included
	MovesPerHour, MovesPerDay int // registrations that take a token from another customer
}

// DefaultLimits are far above what phones need, and too low for an attack to be
// useful.
var DefaultLimits = Limits{PerHour: 60, PerDay: 300, MovesPerHour: 5, MovesPerDay: 10}

// Usage counts the tokens that the apps of a customer have registered, by hour and by day.
type Usage struct {
	Hour, Day                 time.Time // of the counts
	PerHour, PerDay           int
	MovesPerHour, MovesPerDay int
}

// CountRegistration counts a registration at now. The error is *LimitReached if it is too much;
// it is not counted then.
func (u *Usage) CountRegistration(now time.Time, moves bool, most Limits) error {
	hour, day := now.UTC().Truncate(time.Hour), now.UTC().Truncate(24*time.Hour)
	next := *u
	if !next.Day.Equal(day) {
		next = Usage{Day: day}
	}
	if !next.Hour.Equal(hour) {
		next.Hour, next.PerHour, next.MovesPerHour = hour, 0, 0
	}

	next.PerHour, next.PerDay = next.PerHour+1, next.PerDay+1
	if moves {
		next.MovesPerHour, next.MovesPerDay = next.MovesPerHour+1, next.MovesPerDay+1
	}

	switch {
	case next.PerDay > most.PerDay, next.MovesPerDay > most.MovesPerDay:
		return &LimitReached{RetryAfter: day.Add(24 * time.Hour).Sub(now)}
	case next.PerHour > most.PerHour, next.MovesPerHour > most.MovesPerHour:
		return &LimitReached{RetryAfter: hour.Add(time.Hour).Sub(now)}
	}

	*u = next
	return nil
}

// LimitReached: a caller has made too many registrations. It may try again after RetryAfter.
type LimitReached struct{ RetryAfter time.Duration }

func (e *LimitReached) Error() string {
	return fmt.Sprintf("too many registrations; try again in %v", e.RetryAfter.Round(time.Second))
}
