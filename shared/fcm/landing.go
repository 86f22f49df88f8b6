package fcm

import (
	"math/rand/v2"
	"time"
)

// landed books the result of a flight and gives the worker its next one.
func (s *Sender) landed(w *worker, f flight, r result) (flight, bool) {
	a, then, retry := r.judge(time.Now())
	var out answers
	s.mu.Lock()
	now := time.Now()
	w.end = time.Time{}
	s.flying--
	f.c.flying--
	f.j.crowd.jobs[f.j] = nil
	s.book(&f, &r, now, &out)
	if then == final {
		out.add(s.answer(f.j, a))
	} else {
		s.again(&f, a, then, retry, now, &out)
	}
	more, ok := s.next(now, &out)
	if ok {
		s.launch(w, &more)
	} else if s.closed {
		close(w.work)
	} else {
		s.parked = append(s.parked, w)
	}
	if s.closed && s.flying == 0 {
		s.idle.Broadcast()
	}
	s.mu.Unlock()
	out.call()
	return more, ok
}

// book keeps the accounts of the connection and the pace.
func (s *Sender) book(f *flight, r *result, now time.Time, out *answers) {
	c := f.c
	switch {
	case r.code > 0:
		c.answered++
		s.pool.failures = 0
		s.pool.latency.observe(now.Sub(f.began))
		s.pace.outage(r.code >= 500, now)
	case r.timedOut() && !r.unread:
		s.pace.outage(true, now)
	case !r.refusedStream() && !c.closing:
		c.closing = true
		if c.answered == 0 {
			*out = append(*out, s.unreachable(now, r.err.Error())...)
		}
	}
	if c.closing {
		s.pool.sweep()
		s.dial(now)
	}
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

// again decides when a job without a final answer is tried again.
func (s *Sender) again(f *flight, a Answer, then next, retry time.Duration, now time.Time, out *answers) {
	j := f.j
	j.last = a
	switch then {
	case elsewhere:
		j.moved++
		j.attempts--
		if d := movedWait(j.moved); d > 0 {
			s.later(j, now, d, out)
		} else {
			s.ready(j, now, out)
		}
	case reauthorize:
		if j.reauthorized || !s.refused(f.key, now) {
			out.add(s.answer(j, a))
			return
		}
		j.reauthorized = true
		s.ready(j, now, out)
	case holdAll:
		s.pace.quota(f.began, now, retry)
		s.why, s.heldFor = a.Text, a.HTTP
		*out = append(*out, s.shed(now)...)
		s.ready(j, now, out)
	case backOff:
		j.sent = j.sent || a.Sent
		s.later(j, now, max(backOffWait(j.attempts), retry), out)
	}
}

// ready puts j back to the front of the line, unless its context has ended.
func (s *Sender) ready(j *job, now time.Time, out *answers) {
	held := later(now, s.pace.held)
	if j.ctx.Err() != nil || s.closed || held.After(now) && j.once || j.over(held) {
		out.add(s.giveUp(j, now, held, s.reason(now)))
		return
	}
	s.line.pushFront(j)
}

// later puts j among those that wait, or gives it back if the wait is too long.
func (s *Sender) later(j *job, now time.Time, wait time.Duration, out *answers) {
	j.due = later(now.Add(wait), s.pace.held)
	if j.once || j.ctx.Err() != nil || s.closed || j.over(j.due) {
		out.add(s.giveUp(j, now, j.due, ""))
		return
	}
	s.waiters.add(j)
}
