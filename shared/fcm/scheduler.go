package fcm

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// A scheduler decides which message is sent next and when. It has the ready jobs, the
// jobs that wait for a retry, and the rate. It takes no lock, starts no goroutine and
// reads no clock: a Sender tells it the time and the result of each message, and does
// what it decides.
type scheduler struct {
	queue   queue
	retries retries
	limiter limiter
}

// A decision is what a Sender does now.
type decision struct {
	job  *job          // to be sent; nil: nothing is sent now
	over bool          // the time of job is over: it is answered and not sent
	wait time.Duration // without a job: when to ask again; 0: when something changes
}

// decideNext returns what to do now. Call takeJob for a job that is sent.
func (s *scheduler) decideNext(now time.Time) decision {
	wait := s.requeueDue(now)

	j := s.queue.peek()
	if j == nil {
		return decision{wait: wait}
	}
	if j.isOver(now) {
		return decision{job: j, over: true}
	}

	if d := s.limiter.waitTime(now); d > 0 {
		if wait == 0 || d < wait {
			wait = d
		}
		return decision{wait: wait}
	}

	return decision{job: j}
}

// requeueDue makes the due retries ready, and returns how long it is until the next
// one; 0: there is none.
func (s *scheduler) requeueDue(now time.Time) time.Duration {
	for len(s.retries) > 0 {
		j := s.retries[0]
		if d := j.retryAt.Sub(now); d > 0 {
			return d
		}
		s.retries.removeJob(j)
		s.requeueJob(j)
	}
	return 0
}

// requeueJob makes j ready again: before the other jobs of its mailing, or behind them
// once FCM has limited it twice.
func (s *scheduler) requeueJob(j *job) {
	if j.limitedCount > 1 {
		s.queue.pushBack(j)
	} else {
		s.queue.pushFront(j)
	}
}

// takeJob counts j as sent, after decideNext has returned it.
func (s *scheduler) takeJob(j *job, now time.Time) {
	s.limiter.countSent(now)
	s.queue.takeTurn(j)
	j.attempts++
}

// removeJob removes j everywhere.
func (s *scheduler) removeJob(j *job) {
	if j.queuedIn != nil {
		s.queue.removeJob(j)
	}
	if j.retryIndex >= 0 {
		s.retries.removeJob(j)
	}
}

// observeAnswer records what an answer with the HTTP status says about FCM as a whole, and
// reports whether the project is held because of it. began is when the attempt began, and
// retry is the Retry-After of the answer, 0 without one.
func (s *scheduler) observeAnswer(step nextStep, http int, retry time.Duration, began, now time.Time) bool {
	l := &s.limiter
	switch {
	case step == stepLimitProject, step == stepLimitUnnamed:
		l.outage.good++
		return l.quota.countLimited(began, now, retry, step == stepLimitProject)
	case http >= 500, http == 408:
		return l.observeFailure(now)
	default:
		l.outage.good++
		l.quota.countOther(began, now)
		return false
	}
}

// retryJob makes j ready at once, or adds it to the retries, depending on step. If j cannot
// wait so long, or cannot wait at all (ended), it does neither: ok is false, and until is the
// time when j could be sent. retry is the Retry-After of the answer, 0 without one.
func (s *scheduler) retryJob(j *job, step nextStep, retry time.Duration, ended bool, now time.Time) (until time.Time, ok bool) {
	wait := j.countRetry(step, retry)
	held := laterOf(now, s.limiter.heldUntil())
	earliest := laterOf(now, s.limiter.earliestSend())

	if wait == 0 {
		if ended || held.After(now) && j.doesNotWait || j.isOver(earliest) {
			return held, false
		}
		s.requeueJob(j)
		return held, true
	}

	j.retryAt = laterOf(now.Add(wait), earliest)
	if ended || j.doesNotWait && step != stepNotFromFCM || j.isOver(j.retryAt) {
		return j.retryAt, false
	}

	s.retries.addJob(j)
	return j.retryAt, true
}

// countRetry counts in j that it is tried again because of step, and returns how long it waits
// before. retry is the Retry-After of the answer.
func (j *job) countRetry(step nextStep, retry time.Duration) time.Duration {
	switch step {
	case stepReroute:
		j.reroutes++
		j.attempts--
		return rerouteWait(j.reroutes)
	case stepNotFromFCM:
		return notFromFCMWait + rand.N(notFromFCMWait)
	case stepLimitProject:
		j.limitedCount++
		return cmp.Or(retry, quotaWait)
	case stepLimitTarget, stepLimitUnnamed:
		j.limitedCount++
		return min(cmp.Or(retry, quotaWait)<<min(j.limitedCount-1, 6), maxRetryAfter)
	case stepBackOff:
		return max(backOffWait(j.attempts), retry)
	case stepFinal, stepReauthorize:
	}

	return 0
}

// jobsBeyondHold lists the jobs that cannot wait until the hold ends.
func (s *scheduler) jobsBeyondHold() (all []*job) {
	until := s.limiter.earliestSend()
	for j := range s.queue.allJobs() {
		if j.doesNotWait || j.isOver(until) {
			all = append(all, j)
		}
	}
	for _, j := range s.retries {
		if j.isOver(until) {
			all = append(all, j)
		}
	}
	return all
}

// overdueJobs lists the ready jobs whose time is over.
func (s *scheduler) overdueJobs(now time.Time) (all []*job) {
	for j := range s.queue.allJobs() {
		if j.isOver(now) {
			all = append(all, j)
		}
	}
	return all
}

// maxReroutes is how often an item is sent again at once because the server said that it
// had not processed it. After that it waits longer each time.
const maxReroutes = 3

// rerouteWait returns the wait before an item is sent over another connection for the
// n-th time.
func rerouteWait(n int) time.Duration {
	if n <= maxReroutes {
		return 0
	}
	d := min(time.Millisecond<<min(n-maxReroutes, 20), firstWait)
	return d + rand.N(d)
}

// notFromFCMWait is the shortest wait of an item after an answer that did not come from
// FCM.
const notFromFCMWait = time.Second
