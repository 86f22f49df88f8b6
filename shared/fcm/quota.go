package fcm

import "time"

const (
	// quotaWait is Google's wait after a 429 without Retry-After, and how long
	// the quota's window is.
	quotaWait = time.Minute
	// probeEvery is the pause between two messages that find out whether a quota
	// that was used up has been refilled.
	probeEvery = 2 * time.Second
	// recentAnswers is how many answers, about, the share of 429 is taken of that
	// says that the quota is used up.
	recentAnswers = 64
	// usedUpShare is that share.
	usedUpShare = 0.5
	// strayWeight is the weight of the last second in the share of stray 429.
	strayWeight = 0.2
)

// A quotaWatch finds out from the answers whether the project's quota is used
// up. One 429 says little: FCM also sends single ones when it is overloaded. It
// is used up when most of the last answers are 429; then nothing is sent until
// its window ends, which a message now and then finds out. It has no clock.
type quotaWatch struct {
	recent float64   // share of 429 among the last answers
	since  time.Time // answers to attempts that began before it do not count

	good, bad int     // answers of this second
	stray     float64 // share of 429 of late, by seconds

	until  time.Time // the quota is used up until then; zero: it is not
	probe  time.Time // the next message that may be sent before until
	window time.Time // when a window of the quota began; zero: not known
}

// usedUp reports whether the quota is used up at that time.
func (q *quotaWatch) usedUp(now time.Time) bool { return now.Before(q.until) }

// accepted takes note of an answer that is no 429 to an attempt that began then.
// An answer to a probe says that the window has ended.
func (q *quotaWatch) accepted(began, now time.Time) {
	if began.Before(q.since) {
		return
	}
	q.good++
	q.recent -= q.recent / recentAnswers
	if q.usedUp(now) {
		q.window, q.until, q.probe = now, now, now
	}
}

// limited takes note of a 429 and reports whether the quota is found to be used
// up by it. counts is false for one that may be of its target alone: those do
// not slow the others down.
func (q *quotaWatch) limited(began, now time.Time, retryAfter time.Duration, counts bool) bool {
	if began.Before(q.since) {
		return false
	}
	if counts {
		q.bad++
	} else {
		q.good++
	}
	q.recent += (1 - q.recent) / recentAnswers
	if q.usedUp(now) || q.recent < usedUpShare {
		return false
	}

	q.recent, q.since = 0, now
	if retryAfter > 0 {
		q.until = now.Add(min(retryAfter, quotaWait))
		q.probe = q.until
		return true
	}
	q.until, q.probe = q.windowEnd(now), now.Add(probeEvery)
	return true
}

// windowEnd is when the present window of the quota ends, as far as is known: at
// the latest in a minute.
func (q *quotaWatch) windowEnd(now time.Time) time.Time {
	if q.window.IsZero() || q.window.After(now) {
		return now.Add(quotaWait)
	}
	return now.Add(quotaWait - now.Sub(q.window)%quotaWait)
}

// second ends a second of counting. Few answers say little about a share.
func (q *quotaWatch) second() {
	share := 0.0
	if n := q.good + q.bad; n > 0 {
		share = float64(q.bad) / float64(n)
	}
	q.stray += (share - q.stray) * strayWeight
	q.good, q.bad = 0, 0
}
