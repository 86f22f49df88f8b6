package fcm

import (
	"math"
	"time"
)

// A limiter says when the next message may be sent. It is a token bucket. Its rate is this
// sender's share of the quota; it is lower while the sender starts from idle, and while
// single answers are 429. It reads no clock: every method gets the time.
type limiter struct {
	share    share
	exchange exchangeTimes
	quota    quotaWatch
	outage   outageWatch
	bucket   bucket
	usage    usage

	allowed       float64   // the share at the last refresh, in messages a second
	ramp, minRamp float64   // how much of the share is used, and its minimum: 0 to 1
	holdEnd       time.Time // nothing is sent before this time
}

// A bucket is a token bucket: one token is one message that may be sent now.
type bucket struct {
	credit float64   // its tokens: how many messages may be sent now
	at     time.Time // when credit was computed
}

// A usage is what was sent in about the last second.
type usage struct {
	since    time.Time
	sent     int     // messages
	possible float64 // messages that the rate would have allowed
	blocked  bool    // a message waited for a connection

	last   time.Time // when the last message was sent
	wanted float64   // the demand: messages a second that this sender could send
}

const (
	// rampSeconds is how many seconds the rate takes to grow from nothing to the whole
	// quota (Google's guide to scaling). After as many idle seconds it starts again.
	rampSeconds = 60
	// quotaSeconds is the time over which the quota of a minute is spread. The
	// additional second is room for messages that arrive closer together than they
	// were sent.
	quotaSeconds = 61
	// burst is how much may be sent at once, in seconds of the rate.
	burst = 0.05
	// A sender that uses at least busyShare of its rate has more to send than it may: its
	// demand is the whole quota. If it uses at least rampShare, its rate grows.
	busyShare, rampShare = 0.9, 0.5
	// spareShare is by how much the demand of any other sender exceeds what it uses.
	spareShare = 0.25
	// A demand decreases within a second to wantedLasts of what it was, not faster. A
	// sender with a demand below minWanted messages a second is idle.
	wantedLasts, minWanted = 0.7, 0.1
)

// newLimiter makes the limiter of one instance. quotaPerMinute is the quota of the project
// in messages a minute, which at most that many instances share. unconnected says that they do
// not know the demands of each other: then each uses an equal part.
func newLimiter(quotaPerMinute, instances int, unconnected bool, now time.Time) limiter {
	full := float64(quotaPerMinute) / quotaSeconds
	static := full / float64(max(instances, 1))
	l := limiter{bucket: bucket{at: now}, usage: usage{since: now}, minRamp: static / full}
	l.share = share{full: full, static: static, floor: min(static, full/100), unconnected: unconnected}
	l.ramp = l.minRamp
	if unconnected {
		l.ramp, l.minRamp = 1, 1 // all parts together are the rate that the project starts with
	}
	l.refreshShare(now)
	l.bucket.credit = max(1, l.rate()*burst)
	return l
}

// refreshShare computes this sender's share of the quota.
func (l *limiter) refreshShare(now time.Time) { l.allowed = l.share.allowedRate(now) }

// rate returns how many messages a second this sender may send.
func (l *limiter) rate() float64 {
	if l.share.readAt.IsZero() && !l.share.unconnected {
		return l.allowed // its equal part, until it has read the others
	}
	return max(l.share.floor, l.allowed*l.ramp) * (1 - l.quota.limitedShare)
}

// waitTime returns how long it is until a message may be sent, 0 if one may now.
func (l *limiter) waitTime(now time.Time) time.Duration {
	if d := l.holdEnd.Sub(now); d > 0 {
		return d
	}
	if l.quota.usedUp(now) {
		return max(l.quota.probe.Sub(now), 0)
	}

	l.endHold()
	l.adaptRate(now)
	l.fillBucket(now)
	if l.bucket.credit >= 1 {
		return 0
	}
	return max(time.Duration((1-l.bucket.credit)/l.rate()*float64(time.Second)), time.Millisecond)
}

// fillBucket adds the tokens that the rate gives for the time since the last call.
func (l *limiter) fillBucket(now time.Time) {
	dt := now.Sub(l.bucket.at).Seconds()
	if dt <= 0 {
		return
	}
	rate := l.rate()
	l.bucket.credit = min(max(1, rate*burst), l.bucket.credit+rate*dt)
	l.usage.possible += rate * dt
	l.bucket.at = now
}

// countSent counts a message as sent. waitTime must have returned 0 before.
func (l *limiter) countSent(now time.Time) {
	if now.Sub(l.usage.last) > quotaWait {
		// Google does not say when a minute of the quota begins. After an idle minute it
		// probably begins with this message.
		l.quota.window = now
	}
	l.usage.last = now
	if l.quota.usedUp(now) {
		l.quota.probe = now.Add(probeEvery)
		return
	}
	l.bucket.credit--
	l.usage.sent++
}

// endHold continues after the quota was used up. The bucket is empty then, and the time of
// the hold counts neither as used nor as idle.
func (l *limiter) endHold() {
	q := &l.quota
	if q.until.IsZero() {
		return
	}
	if q.window.Before(q.until) { // no probe was accepted, which would have set window
		q.window = time.Time{}
	}
	l.restartAt(q.until)
	q.until = time.Time{}
}

func (l *limiter) restartAt(at time.Time) {
	l.bucket.at, l.usage.since = laterOf(l.bucket.at, at), laterOf(l.usage.since, at)
	l.bucket.credit, l.usage.sent, l.usage.possible, l.quota.good, l.quota.bad = 0, 0, 0, 0, 0
}

// adaptRate ends a second of counting. The rate grows if it was used, and decreases if it
// was not. It also computes the demand and the share.
func (l *limiter) adaptRate(now time.Time) {
	dt := now.Sub(l.usage.since).Seconds()
	if dt < 1 {
		return
	}

	l.fillBucket(now)
	can, used := l.usage.possible, float64(l.usage.sent)
	switch {
	case dt >= rampSeconds:
		l.ramp, l.outage.inARow = l.minRamp, 0
	case used >= can*rampShare:
		l.ramp = min(1, l.ramp+dt/rampSeconds)
	case !l.usage.blocked:
		l.ramp = max(min(l.ramp, l.minRamp), l.ramp-dt/rampSeconds)
	}

	l.usage.wanted = l.computeDemand(used, can, dt)
	l.quota.endSecond()
	l.outage.endSecond()
	l.usage.since, l.usage.sent, l.usage.possible, l.usage.blocked = now, 0, 0, false
	l.refreshShare(now)
}

// computeDemand returns the demand of this sender in messages a second. In the last seconds
// it sent used messages, and its rate allowed can.
func (l *limiter) computeDemand(used, can, seconds float64) float64 {
	if used >= can*busyShare {
		return l.share.full
	}
	now := max(used/seconds*(1+spareShare), l.usage.wanted*math.Pow(wantedLasts, seconds))
	if now < minWanted {
		return 0
	}
	return now
}

// extendHold makes sure that nothing is sent before until. It never shortens a hold.
func (l *limiter) extendHold(until time.Time) { l.holdEnd = laterOf(l.holdEnd, until) }

// heldUntil returns from when on messages may be sent. Probes may be sent earlier. It is in
// the past if there is no hold.
func (l *limiter) heldUntil() time.Time { return laterOf(l.holdEnd, l.quota.until) }

// earliestSend returns when the next message may be sent, probes included. A job that ends
// before it cannot be sent.
func (l *limiter) earliestSend() time.Time { return laterOf(l.holdEnd, l.quota.probe) }

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
