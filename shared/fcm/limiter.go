package fcm

import (
	"math"
	"time"
)

// A limiter says when the next message may be sent. It is a token bucket whose rate
// is this sender's share of the quota, less while sending ramps up from idle, less
// the share of stray 429. It reads no clock: every method gets the time.
type limiter struct {
	share    share
	exchange exchange
	quota    quotaWatch
	outage   outageWatch
	bucket   bucket
	use      use

	allowed     float64   // the share at the last refresh, in messages a second
	ramp, start float64   // how much of the share is used, and its minimum: 0 to 1
	held        time.Time // nothing is sent before this time
}

// A bucket has the messages that may be sent at once.
type bucket struct {
	level float64
	at    time.Time // when level was computed
}

// A use is what was sent in about the last second.
type use struct {
	since   time.Time
	sent    int     // messages
	could   float64 // messages that the rate would have allowed
	blocked bool    // a message waited for a connection

	last   time.Time // when the last message was sent
	wanted float64   // messages a second that could have been sent in the last second
}

const (
	// rampSeconds: it takes a minute to grow from nothing to the whole quota
	// (Google's guide to scaling). After an idle minute it begins again.
	rampSeconds = 60
	// quotaSeconds is the time over which the quota of a minute is spread. The
	// additional second is room for messages that arrive closer together than they
	// were sent.
	quotaSeconds = 61
	// burst is how much may be sent at once, in seconds of the rate.
	burst = 0.05
	// busyShare is how much of its rate a sender uses that has enough to send.
	// rampShare is how much it uses while its rate grows.
	busyShare, rampShare = 0.9, 0.5
	// spareShare is what a sender that uses less wants in addition to what it uses.
	spareShare = 0.25
	// wantedLasts is how much of its demand a sender keeps a second later although it
	// uses less. Below minWanted messages a second it is idle.
	wantedLasts, minWanted = 0.7, 0.1
)

// newLimiter makes the limiter of one of at most that many instances. alone says that
// they do not know of each other, so that each uses an equal part.
func newLimiter(quotaPerMinute, instances int, alone bool, now time.Time) limiter {
	full := float64(quotaPerMinute) / quotaSeconds
	static := full / float64(max(instances, 1))
	l := limiter{bucket: bucket{at: now}, use: use{since: now}, start: static / full}
	l.share = share{full: full, static: static, floor: min(static, full/100), alone: alone}
	l.ramp = l.start
	if alone {
		l.ramp, l.start = 1, 1 // all parts together are the rate that the project starts with
	}
	l.refresh(now)
	l.bucket.level = max(1, l.rate()*burst)
	return l
}

// refresh computes the share.
func (l *limiter) refresh(now time.Time) { l.allowed = l.share.allowed(now) }

// rate returns how many messages a second may be sent.
func (l *limiter) rate() float64 {
	if l.share.readAt.IsZero() && !l.share.alone {
		return l.allowed // its equal part, until it has read the others
	}
	return max(l.share.floor, l.allowed*l.ramp) * (1 - l.quota.stray)
}

// wait returns how long it is until a message may be sent, 0 if one may now.
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

// fill adds to the bucket what was gained since.
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

// take counts a message as sent. wait must have been 0.
func (l *limiter) take(now time.Time) {
	if now.Sub(l.use.last) > quotaWait {
		l.quota.window = now // the best guess
	}
	l.use.last = now
	if l.quota.usedUp(now) {
		l.quota.probe = now.Add(probeEvery)
		return
	}
	l.bucket.level--
	l.use.sent++
}

// endHold continues after the quota was used up: the bucket is empty, and the hold
// counts as neither used nor idle time.
func (l *limiter) endHold() {
	q := &l.quota
	if q.until.IsZero() {
		return
	}
	if q.window.Before(q.until) { // no probe has found it out
		q.window = time.Time{}
	}
	l.resume(q.until)
	q.until = time.Time{}
}

func (l *limiter) resume(at time.Time) {
	l.bucket.at, l.use.since = laterOf(l.bucket.at, at), laterOf(l.use.since, at)
	l.bucket.level, l.use.sent, l.use.could, l.quota.good, l.quota.bad = 0, 0, 0, 0, 0
}

// adapt ends a second: the rate grows if it was used and shrinks if it was not.
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

// want returns how many messages a second this sender could send, after so many
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

// hold sends nothing before until.
func (l *limiter) hold(until time.Time) { l.held = laterOf(l.held, until) }

// heldUntil returns when a message may be sent that is not a probe; it is in the past
// if one may be sent now.
func (l *limiter) heldUntil() time.Time { return laterOf(l.held, l.quota.until) }

// holdEnd returns until when a job must be able to wait: to the end of a hold or, if
// that is unknown, to the next probe.
func (l *limiter) holdEnd() time.Time { return laterOf(l.held, l.quota.probe) }

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
