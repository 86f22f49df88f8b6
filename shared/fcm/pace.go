package fcm

import (
	"math/rand/v2"
	"time"
)

// A pace says when the next message may be sent. It is a token bucket whose rate
// is not fixed: senders that share a project's quota do not talk to each other
// and cannot know how many they are. Each starts at its share of the quota were
// all there, grows steadily as long as it needs more and FCM sends no 429, and
// falls by half on one; so several share the quota, and one alone gets all of
// it. It knows no clock: every method is told the time.
type pace struct {
	start, full, floor float64 // messages a second
	rate               float64 // allowed now
	level              float64 // messages that may be sent at once
	at                 time.Time

	measured time.Time // since when used is counted
	used     int
	cut      time.Time // when the rate was last halved
	careful  bool      // there was a 429: grow slowly
	held     time.Time // nothing is sent before

	good, bad int // answers since measured; bad: outages and timeouts
	outages   int // one after the other
}

const (
	// rampSeconds: from nothing to the full quota takes a minute (Google's guide
	// to scale). An idle minute takes the growth away again.
	rampSeconds = 60
	// quotaSeconds is how long the quota of a minute is made to last: the second
	// more is room for messages that arrive closer together than they were sent.
	quotaSeconds = 61
	// carefully is how much slower the growth is after a 429.
	carefully = 0.1
	// burst is how much may be sent at once, in seconds.
	burst = 0.05
	// quotaWait is Google's wait after a 429 without Retry-After.
	quotaWait = time.Minute
	// firstWait is Google's least wait after an outage.
	firstWait = 10 * time.Second
	// longestWait bounds the exponential growth of waits.
	longestWait = 10 * time.Minute
)

func newPace(quotaPerMinute, instances int, now time.Time) pace {
	p := pace{full: float64(quotaPerMinute) / quotaSeconds, at: now, measured: now}
	p.start = p.full / float64(max(instances, 1))
	p.floor = min(p.start, max(p.full/1000, 1.0/60))
	p.rate = p.start
	p.level = p.most()
	return p
}

func (p *pace) most() float64 { return max(1, p.rate*burst) }

// wait is how long until a message may be sent, 0 if one may.
func (p *pace) wait(now time.Time) time.Duration {
	if d := p.held.Sub(now); d > 0 {
		return d
	}
	p.adapt(now)
	if dt := now.Sub(p.at).Seconds(); dt > 0 {
		p.level = min(p.most(), p.level+p.rate*dt)
		p.at = now
	}
	if p.level >= 1 {
		return 0
	}
	return max(time.Duration((1-p.level)/p.rate*float64(time.Second)), time.Millisecond)
}

// take counts a message as sent; wait must have been 0.
func (p *pace) take() {
	p.level--
	p.used++
}

// adapt lets the rate grow when it is used and shrink when it is not.
func (p *pace) adapt(now time.Time) {
	dt := now.Sub(p.measured).Seconds()
	if dt < 1 {
		return
	}
	step := p.full / rampSeconds * dt
	switch {
	case dt >= rampSeconds:
		p.rate, p.careful, p.outages = p.start, false, 0
	case float64(p.used) < p.rate*dt/2:
		p.rate = max(min(p.rate, p.start), p.rate-step)
	case p.careful:
		p.rate = min(p.full, p.rate+step*carefully)
	default:
		p.rate = min(p.full, p.rate+step)
	}
	if p.good > p.bad {
		p.outages = 0
	}
	p.measured, p.used, p.good, p.bad = now, 0, 0, 0
}

// hold lets nothing out before until.
func (p *pace) hold(until time.Time) {
	if until.After(p.held) {
		p.held = until
	}
}

// quota takes note of a 429 to an attempt that began then. Of many at once only
// the first halves the rate: the others were sent before that could help.
func (p *pace) quota(began, now time.Time, retryAfter time.Duration) {
	if retryAfter == 0 {
		retryAfter = quotaWait
	}
	p.hold(now.Add(retryAfter))
	if began.After(p.cut) {
		p.halve(now)
		p.careful = true
	}
}

func (p *pace) halve(now time.Time) {
	p.cut, p.rate, p.level = now, max(p.floor, p.rate/2), 0
	// What was used so far says nothing about the new rate, and the hold is no idling.
	p.at, p.measured, p.used = later(now, p.held), later(now, p.held), 0
}

// outage takes note of an answer that speaks of one, or of its opposite. When
// nearly everything fails, sending on would only make it worse: all is held.
func (p *pace) outage(bad bool, now time.Time) {
	if !bad {
		p.good++
		return
	}
	p.bad++
	if p.bad < outageLeast || p.bad < outageShare*p.good || p.held.After(now) {
		return
	}
	p.outages++
	p.hold(now.Add(backOffWait(p.outages)))
	p.halve(now)
	p.good, p.bad = 0, 0
}

// An outage of all is this many bad answers within a second, and this many
// times the good ones.
const (
	outageLeast = 50
	outageShare = 4
)

// backOffWait is the wait before the n-th attempt more: exponential from ten
// seconds, with jitter upwards.
func backOffWait(n int) time.Duration {
	d := min(firstWait<<min(n-1, 10), longestWait)
	return d + rand.N(d/2)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
