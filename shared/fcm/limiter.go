package fcm

import (
	"math"
	"time"
)

// A limiter says when the next message may be sent: a token bucket whose rate is
// this sender's share of the project's quota, less while the project's sending
// grows from idle, less the share of stray 429. It has no clock: every method is
// told the time.
type limiter struct {
	share    share
	exchange exchange
	quota    quotaWatch
	outage   outageWatch
	bucket   bucket
	use      use

	allowed     float64   // the share, as of the last refresh
	ramp, start float64   // how much of the share is used, and at the least: 0 to 1
	held        time.Time // nothing is sent before
}

// A bucket is the messages that may be sent at once.
type bucket struct {
	level float64
	at    time.Time // of level
}

// A use is what was sent in the present second, or about.
type use struct {
	since   time.Time
	sent    int     // messages
	could   float64 // messages that the rate allowed
	blocked bool    // a message waited for a connection

	last   time.Time // when the last message was sent
	wanted float64   // messages a second that could be sent, as of the last second
}

const (
	// rampSeconds: from nothing to the full quota takes a minute (Google's guide
	// to scale). An idle minute takes the growth away again.
	rampSeconds = 60
	// quotaSeconds is how long the quota of a minute is made to last: the second
	// more is room for messages that arrive closer together than they were sent.
	quotaSeconds = 61
	// burst is how much may be sent at once, in seconds.
	burst = 0.05
	// busyShare is how much of its rate a sender uses that could use all of it;
	// rampShare is how much it uses while its rate grows.
	busyShare, rampShare = 0.9, 0.5
	// spareShare is what a sender that uses less wants beside what it uses.
	spareShare = 0.25
	// wantedLasts is how much of what it wanted a sender still wants a second
	// later, though it uses less; below minWanted a second it is idle.
	wantedLasts, minWanted = 0.7, 0.1
)

// newLimiter makes the limiter of one of at most that many instances; alone says
// that they do not hear of each other, so that each keeps to its equal part.
func newLimiter(quotaPerMinute, instances int, alone bool, now time.Time) limiter {
	full := float64(quotaPerMinute) / quotaSeconds
	static := full / float64(max(instances, 1))
	l := limiter{bucket: bucket{at: now}, use: use{since: now}, start: static / full}
	l.share = share{full: full, static: static, floor: min(static, full/100), alone: alone}
	l.ramp = l.start
	if alone {
		l.ramp, l.start = 1, 1 // all parts together are what the project starts with
	}
	l.refresh(now)
	l.bucket.level = max(1, l.rate()*burst)
	return l
}

// refresh works out the share anew.
func (l *limiter) refresh(now time.Time) { l.allowed = l.share.allowed(now) }

// rate is how many messages a second may be sent.
func (l *limiter) rate() float64 {
	if l.share.readAt.IsZero() && !l.share.alone {
		return l.allowed // its equal part, until it has heard of the others
	}
	return max(l.share.floor, l.allowed*l.ramp) * (1 - l.quota.stray)
}

// wait is how long until a message may be sent, 0 if one may.
func (l *limiter) wait(now time.Time) time.Duration {
	if d := l.held.Sub(now); d > 0 {
		return d
	}
	if l.quota.usedUp(now) {
		return max(l.quota.probe.Sub(now), 0)
	}
	l.endHold()
	l.adapt(now)
	l.fill(now)
	if l.bucket.level >= 1 {
		return 0
	}
	return max(time.Duration((1-l.bucket.level)/l.rate()*float64(time.Second)), time.Millisecond)
}

// fill adds to the bucket what has come since.
func (l *limiter) fill(now time.Time) {
	dt := now.Sub(l.bucket.at).Seconds()
	if dt <= 0 {
		return
	}
	rate := l.rate()
	l.bucket.level = min(max(1, rate*burst), l.bucket.level+rate*dt)
	l.use.could += rate * dt
	l.bucket.at = now
}

// take counts a message as sent; wait must have been 0.
func (l *limiter) take(now time.Time) {
	if now.Sub(l.use.last) > quotaWait {
		l.quota.window = now // as far as we know
	}
	l.use.last = now
	if l.quota.usedUp(now) {
		l.quota.probe = now.Add(probeEvery)
		return
	}
	l.bucket.level--
	l.use.sent++
}

// endHold goes on after the quota was used up: the bucket is empty, and the time
// of the hold counts as neither used nor idle.
func (l *limiter) endHold() {
	q := &l.quota
	if q.until.IsZero() {
		return
	}
	if q.window.Before(q.until) { // no probe has told
		q.window = time.Time{}
	}
	l.resume(q.until)
	q.until = time.Time{}
}

func (l *limiter) resume(at time.Time) {
	l.bucket.at, l.use.since = later(l.bucket.at, at), later(l.use.since, at)
	l.bucket.level, l.use.sent, l.use.could, l.quota.good, l.quota.bad = 0, 0, 0, 0, 0
}

// adapt ends a second: the rate grows when it is used and shrinks when it is not.
func (l *limiter) adapt(now time.Time) {
	dt := now.Sub(l.use.since).Seconds()
	if dt < 1 {
		return
	}

	l.fill(now)
	can, used := l.use.could, float64(l.use.sent)
	switch {
	case dt >= rampSeconds:
		l.ramp, l.outage.inARow = l.start, 0
	case used >= can*rampShare:
		l.ramp = min(1, l.ramp+dt/rampSeconds)
	case !l.use.blocked:
		l.ramp = max(min(l.ramp, l.start), l.ramp-dt/rampSeconds)
	}

	l.use.wanted = l.want(used, can, dt)
	l.quota.second()
	l.outage.second()
	l.use.since, l.use.sent, l.use.could, l.use.blocked = now, 0, 0, false
	l.refresh(now)
}

// want is how many messages a second this sender could send after so many
// seconds in which it sent used and could have sent can.
func (l *limiter) want(used, can, seconds float64) float64 {
	if used >= can*busyShare {
		return l.share.full
	}
	now := max(used/seconds*(1+spareShare), l.use.wanted*math.Pow(wantedLasts, seconds))
	if now < minWanted {
		return 0
	}
	return now
}

// hold lets nothing out before until.
func (l *limiter) hold(until time.Time) { l.held = later(l.held, until) }

// heldUntil is when a message may be sent that is no probe; in the past if one
// may be now.
func (l *limiter) heldUntil() time.Time { return later(l.held, l.quota.until) }

// patience is until when a job has to be able to wait: to the end of a hold, or,
// where that is not known for certain, to the next probe.
func (l *limiter) patience() time.Time { return later(l.held, l.quota.probe) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
