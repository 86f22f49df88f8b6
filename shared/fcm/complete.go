package fcm

import "time"

// complete handles the result of an attempt and returns the next attempt for the
// worker.
func (s *Sender) complete(w *worker, f attempt, r result) (attempt, bool) {
	a, then, retry := r.judge(time.Now())
	var out answers
	s.mu.Lock()
	now := time.Now()
	w.end = time.Time{}
	s.flying--
	f.c.flying--
	f.j.crowd.jobs[f.j] = nil
	s.accountLocked(&f, &r, now, &out)
	s.observeLocked(&f, &r, a, then, retry, now, &out)
	if then == final {
		out.add(s.answerLocked(f.j, a))
	} else {
		s.retryLocked(&f, a, then, retry, now, &out)
	}

	more, ok := s.nextLocked(now, &out)
	if ok {
		s.launchLocked(w, &more)
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

// accountLocked updates what is known about the connection.
func (s *Sender) accountLocked(f *attempt, r *result, now time.Time, out *answers) {
	c := f.c
	switch {
	case r.code > 0:
		c.answered++
		if r.code < 300 {
			s.key.accepted = f.key
		}
		s.pool.failures = 0
		s.pool.latency.observe(now.Sub(f.began))
	case r.timedOut() && !r.unread:
	case !r.refusedStream() && !c.closing:
		c.closing = true
		if c.answered == 0 {
			*out = append(*out, s.unreachableLocked(now, r.err.Error())...)
		}
	}
	if c.closing {
		s.pool.sweep()
		s.dialLocked(now)
	}
}

// observeLocked tells the scheduler of the project what the result says about FCM as
// a whole. If everything of the project is held because of it, jobs that cannot wait
// are answered.
func (s *Sender) observeLocked(f *attempt, r *result, a Answer, then nextStep, retry time.Duration, now time.Time, out *answers) {
	code := r.code
	switch {
	case r.timedOut() && !r.unread && code == 0:
		code = 504
	case code == 0:
		return // the result is about the connection only
	}
	p := f.j.project
	if p.scheduler.observe(then, code, retry, f.began, now) {
		p.why, p.heldFor = a.Text, a.HTTP
		*out = append(*out, s.failBeyondHoldLocked(p, now)...)
	}
}

// retryLocked decides when a job without a final answer is tried again.
func (s *Sender) retryLocked(f *attempt, a Answer, then nextStep, retry time.Duration, now time.Time, out *answers) {
	j := f.j
	j.last = a
	j.sent = j.sent || a.Sent && then == backOff
	switch {
	case then == reauthorize && (j.reauthorized || !s.refusedLocked(f.key, a.HTTP, now)), then == askAgain && j.doubted:
		out.add(s.answerLocked(j, a))
		return
	}
	j.reauthorized = j.reauthorized || then == reauthorize
	j.doubted = j.doubted || then == askAgain

	if until, ok := j.project.scheduler.retry(j, then, retry, j.ctx.Err() != nil || s.closed, now); !ok {
		out.add(s.giveUpLocked(j, now, until, j.project.reason(now)))
	}
}
