package devices

import (
	"sync"
	"time"

	"carillon.example/shared/push"
)

const (
	// defaultEventsPerHour is far above what the phones of one customer report.
	defaultEventsPerHour = 600
	// maxCountedCustomers limits the memory of an eventLimit. Beyond it the counts of
	// the hour begin again, so a customer may report up to twice as much.
	maxCountedCustomers = 100_000
)

// An eventLimit limits the events that the apps of one customer report in an hour of UTC.
// Each instance counts for itself and in memory: events that are repeated or unknown
// write nothing, and a count that is stored would cost more than it saves. So with several
// instances a customer may report a multiple, at most the limit times max_instances.
type eventLimit struct {
	perHour int

	mu     sync.Mutex // guards the fields below
	hour   time.Time
	events map[string]int // by customer
}

func newEventLimit(perHour int) *eventLimit {
	return &eventLimit{perHour: perHour, events: map[string]int{}}
}

// countEvents counts n events of a customer. The error is *push.LimitReached if they are too
// many; they are not counted then.
func (l *eventLimit) countEvents(customer string, n int, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	hour := now.UTC().Truncate(time.Hour)
	if !hour.Equal(l.hour) || len(l.events) >= maxCountedCustomers {
		l.hour, l.events = hour, map[string]int{}
	}

	if l.events[customer]+n > l.perHour {
		return &push.LimitReached{RetryAfter: hour.Add(time.Hour).Sub(now)}
	}
	l.events[customer] += n
	return nil
}
