package fcm

import "time"

const (
	// quotaWait is how long Google asks to wait after a 429 without Retry-After, and
	// the length of the quota's window.
	quotaWait = time.Minute
	// probeEvery is the time between two probes: messages that find out whether a
	// used up quota is available again.
	probeEvery = 2 * time.Second
	// recentAnswers is about how many of the last answers count for quotaWatch.recent, the share
	// of 429 that says whether the quota is used up.
	recentAnswers = 64
	// usedUpShare is the share of 429 above which the quota is used up.
	usedUpShare = 0.5
	// limitedWeight is the weight of the last second in quotaWatch.limitedShare.
	limitedWeight = 0.2
)

// A quotaWatch finds out from the answers whether the quota of the project is used up. One
// 429 is not enough, because FCM sends single ones when it is overloaded. The quota is used
// up when more than half of the last answers are 429. Then only probes are sent until the
// minute of the quota ends. It reads no clock.
type quotaWatch struct {
	recent float64   // share of 429 among the last answers
	since  time.Time // answers to attempts that began earlier do not count

	good, bad    int     // answers of this second
	limitedShare float64 // recent share of 429, by seconds: the rate is lowered by it

	until  time.Time // the quota is used up until then; zero: it is not
	probe  time.Time // when the next probe may be sent
	window time.Time // when a window of the quota began; zero: not known
}

// usedUp reports whether the quota is used up at now.
func (q *quotaWatch) usedUp(now time.Time) bool { return now.Before(q.until) }

// countOther counts an answer other than 429. began is when its attempt began. If the quota
// was used up, the attempt was a probe, and it is not used up any more.
func (q *quotaWatch) countOther(began, now time.Time) {
	if began.Before(q.since) {
		return
	}
	q.good++
	q.recent -= q.recent / recentAnswers
	if q.usedUp(now) {
		q.window, q.until, q.probe = now, now, now
	}
}

// countLimited counts a 429, and reports whether the quota is used up because of it. began
// is when its attempt began. lowersRate is false for a 429 that may be about its target
// alone.
func (q *quotaWatch) countLimited(began, now time.Time, retryAfter time.Duration, lowersRate bool) bool {
	if began.Before(q.since) {
		return false
	}
	if lowersRate {
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

// windowEnd returns when the current window of the quota ends, as far as is known: in
// a minute at the latest.
func (q *quotaWatch) windowEnd(now time.Time) time.Time {
	if q.window.IsZero() || q.window.After(now) {
		return now.Add(quotaWait)
	}
	return now.Add(quotaWait - now.Sub(q.window)%quotaWait)
}

// endSecond ends a second of counting, and computes the recent share of 429.
func (q *quotaWatch) endSecond() {
	share := 0.0
	if n := q.good + q.bad; n > 0 {
		share = float64(q.bad) / float64(n)
	}
	q.limitedShare += (share - q.limitedShare) * limitedWeight
	q.good, q.bad = 0, 0
}
