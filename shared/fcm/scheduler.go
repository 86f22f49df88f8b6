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
	over bool          // the time of job is over: it is given up
	wait time.Duration // without a job: when to ask again; 0: when something changes
}

// decide returns what to do now. A job that is sent has to be taken with take.
func (s *scheduler) decide(now time.Time) decision {
	wait := s.requeueDue(now)
	j := s.queue.peek()
	if j == nil {
		return decision{wait: wait}
	}
	if j.over(now) {
		return decision{job: j, over: true}
	}
	if d := s.limiter.wait(now); d > 0 {
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
		if d := j.due.Sub(now); d > 0 {
			return d
		}
		s.retries.remove(j)
		s.requeue(j)
	}
	return 0
}

// requeue makes j ready again: before the other jobs of its mailing, or behind them
// once FCM has limited it twice.
func (s *scheduler) requeue(j *job) {
	if j.limited > 1 {
		s.queue.pushBack(j)
	} else {
		s.queue.pushFront(j)
	}
}

// take counts j as sent, after decide returned it.
func (s *scheduler) take(j *job, now time.Time) {
	s.limiter.take(now)
	s.queue.take(j)
	j.attempts++
}

// remove removes j everywhere.
func (s *scheduler) remove(j *job) {
	if j.line != nil {
		s.queue.remove(j)
	}
	if j.index >= 0 {
		s.retries.remove(j)
	}
}

// observe records what an answer to an attempt that began then says about FCM as a
// whole, and reports whether everything is held because of it.
func (s *scheduler) observe(then nextStep, http int, retry time.Duration, began, now time.Time) bool {
	l := &s.limiter
	switch {
	case then == limitProject, then == limitUnnamed:
		l.outage.good++
		return l.quota.limited(began, now, retry, then == limitProject)
	case http >= 500, http == 408:
		return l.observeFailure(now)
	default:
		l.outage.good++
		l.quota.accepted(began, now)
		return false
	}
}

// retry makes j ready or adds it to the retries, as the answer asks for. If j cannot
// wait so long, or ended says that it cannot wait at all, ok is false and until is
// the time that it would have to wait for.
func (s *scheduler) retry(j *job, then nextStep, retry time.Duration, ended bool, now time.Time) (until time.Time, ok bool) {
	wait := j.waitAfter(then, retry)
	held := laterOf(now, s.limiter.heldUntil())
	patience := laterOf(now, s.limiter.holdEnd())
	if wait == 0 {
		if ended || held.After(now) && j.once || j.over(patience) {
			return held, false
		}
		s.requeue(j)
		return held, true
	}

	j.due = laterOf(now.Add(wait), patience)
	if ended || j.once && then != askAgain || j.over(j.due) {
		return j.due, false
	}
	s.retries.add(j)
	return j.due, true
}

// waitAfter returns how long j waits before it is tried again.
func (j *job) waitAfter(then nextStep, retry time.Duration) time.Duration {
	switch then {
	case elsewhere:
		j.moved++
		j.attempts--
		return movedWait(j.moved)
	case askAgain:
		return askAgainWait + rand.N(askAgainWait)
	case limitProject:
		j.limited++
		return cmp.Or(retry, quotaWait)
	case limitTarget, limitUnnamed:
		j.limited++
		return min(cmp.Or(retry, quotaWait)<<min(j.limited-1, 6), maxRetryAfter)
	case backOff:
		return max(backOffWait(j.attempts), retry)
	case final, reauthorize:
	}

	return 0
}

// beyondHold lists the jobs that cannot wait until the hold ends.
func (s *scheduler) beyondHold() (all []*job) {
	until := s.limiter.holdEnd()
	for j := range s.queue.all() {
		if j.once || j.over(until) {
			all = append(all, j)
		}
	}
	for _, j := range s.retries {
		if j.over(until) {
			all = append(all, j)
		}
	}
	return all
}

// overdue lists the ready jobs whose time is over.
func (s *scheduler) overdue(now time.Time) (all []*job) {
	for j := range s.queue.all() {
		if j.over(now) {
			all = append(all, j)
		}
	}
	return all
}

// maxMoved is how often an item is sent again at once because the server said that it
// had not processed it. After that it waits longer each time.
const maxMoved = 3

// movedWait returns the wait before an item is sent over another connection for the
// n-th time.
func movedWait(n int) time.Duration {
	if n <= maxMoved {
		return 0
	}
	d := min(time.Millisecond<<min(n-maxMoved, 20), firstWait)
	return d + rand.N(d)
}

// askAgainWait is the shortest wait before an item is sent again that something other
// than FCM answered.
const askAgainWait = time.Second
