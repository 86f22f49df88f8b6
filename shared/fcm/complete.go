package fcm

import "time"

// completeAttempt handles the result of an attempt and returns the next attempt for the
// worker.
func (s *Sender) completeAttempt(w *worker, f attempt, r response) (attempt, bool) {
	a, then, retry := r.classify(time.Now())
	var out answers
	s.mu.Lock()
	now := time.Now()
	w.cancelAt = time.Time{}
	s.inFlight--
	f.conn.inFlight--
	f.job.group.jobs[f.job] = nil
	s.updateConnLocked(&f, &r, now, &out)
	s.observeAnswerLocked(&f, &r, a, then, retry, now, &out)
	if then == stepFinal {
		out.add(s.answerLocked(f.job, a))
	} else {
		s.retryJobLocked(&f, a, then, retry, now, &out)
	}

	more, ok := s.nextAttemptLocked(now, &out)
	if ok {
		s.beginAttemptLocked(w, &more)
	} else if s.closed {
		close(w.work)
	} else {
		s.idleWorkers = append(s.idleWorkers, w)
	}
	if s.closed && s.inFlight == 0 {
		s.noneInFlight.Broadcast()
	}
	s.mu.Unlock()
	out.giveAll()
	return more, ok
}

// updateConnLocked updates what is known about the connection.
func (s *Sender) updateConnLocked(f *attempt, r *response, now time.Time, out *answers) {
	c := f.conn
	switch {
	case r.status > 0:
		c.answered++
		if r.status < 300 {
			s.credentials.accepted = f.tokenNumber
		}
		s.pool.failures = 0
		s.pool.latency.addLatency(now.Sub(f.began))
	case r.timedOut() && !r.unprocessed:
	case !r.refusedStream() && !c.closing:
		c.closing = true
		if c.answered == 0 {
			*out = append(*out, s.unreachableLocked(now, r.err.Error())...)
		}
	}
	if c.closing {
		s.pool.removeClosed()
		s.dialIfDueLocked(now)
	}
}

// observeAnswerLocked tells the scheduler of the project what the result says about FCM as
// a whole. If everything of the project is held because of it, jobs that cannot wait
// are answered.
func (s *Sender) observeAnswerLocked(f *attempt, r *response, a Answer, then nextStep, retry time.Duration, now time.Time, out *answers) {
	code := r.status
	switch {
	case r.timedOut() && !r.unprocessed && code == 0:
		code = 504
	case code == 0:
		return // the result is about the connection only
	}
	p := f.job.project
	if p.scheduler.observeAnswer(then, code, retry, f.began, now) {
		p.holdReason, p.holdStatus = a.Text, a.HTTP
		*out = append(*out, s.failBeyondHoldLocked(p, now)...)
	}
}

// retryJobLocked decides when a job without a final answer is tried again.
func (s *Sender) retryJobLocked(f *attempt, a Answer, then nextStep, retry time.Duration, now time.Time, out *answers) {
	j := f.job
	j.lastAnswer = a
	j.sent = j.sent || a.Sent && then == stepBackOff
	switch {
	case then == stepReauthorize && (j.reauthorized || !s.tokenRefusedLocked(f.tokenNumber, a.HTTP, now)), then == stepAskAgain && j.askedAgain:
		out.add(s.answerLocked(j, a))
		return
	}
	j.reauthorized = j.reauthorized || then == stepReauthorize
	j.askedAgain = j.askedAgain || then == stepAskAgain

	if until, ok := j.project.scheduler.retryJob(j, then, retry, j.ctx.Err() != nil || s.closed, now); !ok {
		out.add(s.giveUpLocked(j, now, until, j.project.waitReason(now)))
	}
}
