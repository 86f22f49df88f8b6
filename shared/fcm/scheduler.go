package fcm

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// A scheduler decides which message is sent next and when: what is ready, what
// waits for another attempt, and the rate. It has no lock, no goroutine and no
// clock: a Sender tells it the time and what became of each message, and does
// what it says.
type scheduler struct {
	queue   queue
	retries retries
	limiter limiter
}

// A decision is what a Sender does now.
type decision struct {
	job  *job          // to be sent; nil: nothing is sent now
	over bool          // no attempt of job may begin any more: it is given up
	wait time.Duration // without a job: when to ask again; 0: when something changes
}

// decide says what is to be done now. A job that is sent is taken with take.
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

// requeueDue makes the retries ready whose time has come, and returns how long
// it is until the next one's; 0: there is none.
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

// requeue makes j ready again: before the others of its mailing, behind them
// once FCM has limited it twice.
func (s *scheduler) requeue(j *job) {
	if j.limited > 1 {
		s.queue.pushBack(j)
	} else {
		s.queue.pushFront(j)
	}
}

// take counts j, which was decided to be sent, as sent.
func (s *scheduler) take(j *job, now time.Time) {
	s.limiter.take(now)
	s.queue.take(j)
	j.attempts++
}

// remove takes j out of everything that waits.
func (s *scheduler) remove(j *job) {
	if j.line != nil {
		s.queue.remove(j)
	}
	if j.index >= 0 {
		s.retries.remove(j)
	}
}

// observe takes note of what an answer to an attempt that began then says of FCM
// as a whole, and reports whether everything is held by it.
func (s *scheduler) observe(then next, http int, retry time.Duration, began, now time.Time) bool {
	l := &s.limiter
	switch {
	case then == limitProject, then == limitUnnamed:
		l.outage.good++
		return l.quota.limited(began, now, retry, then == limitProject)
	case http >= 500, http == 408:
		return l.outages(now)
	default:
		l.outage.good++
		l.quota.accepted(began, now)
		return false
	}
}

// again makes j ready or puts it among the retries, as the result of its attempt
// asks for. If j cannot wait so long, or ended says that it cannot wait at all,
// ok is false and until the time that it would have to wait for.
func (s *scheduler) again(j *job, then next, retry time.Duration, ended bool, now time.Time) (until time.Time, ok bool) {
	wait := j.waitAfter(then, retry)
	held := later(now, s.limiter.heldUntil())
	patience := later(now, s.limiter.patience())
	if wait == 0 {
		if ended || held.After(now) && j.once || j.over(patience) {
			return held, false
		}
		s.requeue(j)
		return held, true
	}

	j.due = later(now.Add(wait), patience)
	if ended || j.once && then != askAgain || j.over(j.due) {
		return j.due, false
	}
	s.retries.add(j)
	return j.due, true
}

// waitAfter is how long j waits before it is tried again.
func (j *job) waitAfter(then next, retry time.Duration) time.Duration {
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

// impatient are the jobs that cannot wait until everything goes on.
func (s *scheduler) impatient() (all []*job) {
	until := s.limiter.patience()
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

// overdue are the jobs that are ready though no attempt may begin any more.
func (s *scheduler) overdue(now time.Time) (all []*job) {
	for j := range s.queue.all() {
		if j.over(now) {
			all = append(all, j)
		}
	}
	return all
}

// maxMoved is how often an item is sent elsewhere at once because the server
// said that it has not begun with it; after that with growing pauses.
const maxMoved = 3

// movedWait is the pause before an item is moved for the n-th time.
func movedWait(n int) time.Duration {
	if n <= maxMoved {
		return 0
	}
	d := min(time.Millisecond<<min(n-maxMoved, 20), firstWait)
	return d + rand.N(d)
}

// askAgainWait is the least wait before an item is sent once more that was
// answered by somebody else than FCM.
const askAgainWait = time.Second
