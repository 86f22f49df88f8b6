package fcm

import (
	"math/rand/v2"
	"time"
)

// outages takes note of an answer that speaks of an outage, and reports whether
// everything is held by it. The rate grows anew from half of what it was.
func (l *limiter) outages(now time.Time) bool {
	if !l.outage.bad(l.held.After(now)) {
		return false
	}
	l.hold(now.Add(backOffWait(l.outage.inARow)))
	l.ramp = max(l.start/2, l.ramp/2)
	l.resume(l.held)
	return true
}

// An outageWatch finds out whether FCM is out of order: then nearly everything
// fails, and sending on would only make it worse.
type outageWatch struct {
	good, failed int // answers of this second; failed: outages and timeouts
	inARow       int // outages
}

// An outage of all is this many failed answers within a second, and this many
// times the good ones.
const (
	outageLeast = 50
	outageShare = 4
)

// bad takes note of a failed answer and reports whether it makes an outage.
func (o *outageWatch) bad(held bool) bool {
	o.failed++
	if o.failed < outageLeast || o.failed < outageShare*o.good || held {
		return false
	}
	o.inARow++
	o.good, o.failed = 0, 0
	return true
}

func (o *outageWatch) second() {
	if o.good > o.failed {
		o.inARow = 0
	}
	o.good, o.failed = 0, 0
}

const (
	// firstWait is Google's least wait after an outage.
	firstWait = 10 * time.Second
	// longestWait bounds the exponential growth of waits.
	longestWait = 10 * time.Minute
)

// backOffWait is the wait before the n-th attempt more: exponential from ten
// seconds, with jitter upwards.
func backOffWait(n int) time.Duration {
	d := min(firstWait<<min(max(n-1, 0), 10), longestWait)
	return d + rand.N(d/2)
}
