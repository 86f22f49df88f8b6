package fcm

import (
	"math/rand/v2"
	"time"
)

// observeFailure counts an answer that may be part of an outage. It reports whether an
// outage begins: then the project is held, and the rate starts again from half of what it
// was.
func (l *limiter) observeFailure(now time.Time) bool {
	if !l.outage.countFailure(l.holdEnd.After(now)) {
		return false
	}
	l.extendHold(now.Add(backOffWait(l.outage.inARow)))
	l.ramp = max(l.minRamp/2, l.ramp/2)
	l.restartAt(l.holdEnd)
	return true
}

// An outageWatch detects an outage of FCM: nearly all messages fail then, and sending
// more would make it worse.
type outageWatch struct {
	good, failed int // answers of this second; failed: outages and timeouts
	inARow       int // outages
}

// An outage is this many failed answers within a second, if they are this many times
// the good ones.
const (
	outageLeast = 50
	outageRatio = 4
)

// countFailure counts a failed answer, and reports whether an outage begins. held says that
// sending is held already.
func (o *outageWatch) countFailure(held bool) bool {
	o.failed++
	if o.failed < outageLeast || o.failed < outageRatio*o.good || held {
		return false
	}
	o.inARow++
	o.good, o.failed = 0, 0
	return true
}

// endSecond ends a second of counting. A second that was mostly good ends the row of
// outages, so that the next one has a short wait.
func (o *outageWatch) endSecond() {
	if o.good > o.failed {
		o.inARow = 0
	}
	o.good, o.failed = 0, 0
}

const (
	// firstWait is the shortest wait after an outage that Google asks for.
	firstWait = 10 * time.Second
	// longestWait limits the exponential growth of waits.
	longestWait = 10 * time.Minute
)

// backOffWait returns the wait before the n-th retry: exponential from ten seconds,
// with jitter added.
func backOffWait(n int) time.Duration {
	d := min(firstWait<<min(max(n-1, 0), 10), longestWait)
	return d + rand.N(d/2)
}
