package fcm

import (
	"net/http"
	"time"
)

// completeAttempt handles the response to an attempt. It answers the job or schedules its
// retry, and returns the next attempt for the worker. ok is false if there is none: then
// the worker is idle.
func (s *Sender) completeAttempt(w *worker, f attempt, r response) (more attempt, ok bool) {
	a, step, retry := r.classify(time.Now())
	var out deferredAnswers
	// The lock makes it one step to count the request as ended, to answer its job and to
	// take the next job: so no place on a connection is taken twice or left unused.
	s.mu.Lock()
	now := time.Now()
	w.cancelAt = time.Time{} // no attempt is under way: watchOverdue has nothing to cancel
	s.inFlight--
	f.conn.inFlight--
	f.job.group.jobs[f.job] = nil

	s.updateConnLocked(&f, &r, now, &out)
	s.observeAnswerLocked(&f, &r, a, step, retry, now, &out)
	if step == stepFinal {
		out.add(s.answerLocked(f.job, a))
	} else {
		s.retryJobLocked(&f, a, step, retry, now, &out)
	}

	more, ok = s.nextAttemptLocked(now, &out)
	switch {
	case ok:
		s.beginAttemptLocked(w, &more)
	case s.closed:
		close(w.work) // the worker ends
	default:
		s.idleWorkers = append(s.idleWorkers, w)
	}

	if s.closed && s.inFlight == 0 {
		s.noneInFlight.Broadcast() // Close waits for this
	}

	s.mu.Unlock()

	out.giveAll()
	return more, ok
}

// updateConnLocked records what the response says about the connection and about the
// access token. After an error that is not about this request alone, the connection takes
// no more requests, and another one is opened.
func (s *Sender) updateConnLocked(f *attempt, r *response, now time.Time, out *deferredAnswers) {
	c := f.conn
	switch {
	case r.status > 0:
		c.answered++
		if r.status < 300 {
			s.credentials.accepted = f.accessTokenNumber
		}
		s.pool.failures = 0
		s.pool.latency.addLatency(now.Sub(f.began))
	case r.timedOut() && !r.unprocessed:
		// Only this request was slow. A ping finds a connection that is dead.
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

// observeAnswerLocked passes to the scheduler of the project what the response says about
// FCM as a whole: a quota or an outage. If the project is held because of it, jobs that
// cannot wait are answered.
func (s *Sender) observeAnswerLocked(f *attempt, r *response, a Answer, step nextStep, retry time.Duration, now time.Time, out *deferredAnswers) {
	code := r.status
	switch {
	case r.timedOut() && !r.unprocessed && code == 0:
		code = http.StatusGatewayTimeout // for the scheduler it is a part of an outage, as FCM's own timeout
	case code == 0:
		return // the response is about the connection only
	}

	p := f.job.project
	if p.scheduler.observeAnswer(step, code, retry, f.began, now) {
		p.holdReason, p.holdStatus = a.Text, a.HTTP
		*out = append(*out, s.answerBeyondHoldLocked(p, now)...)
	}
}

// retryJobLocked schedules the next attempt of a job without a final answer. If none makes
// sense, or the job cannot wait so long, it answers the job.
func (s *Sender) retryJobLocked(f *attempt, a Answer, step nextStep, retry time.Duration, now time.Time, out *deferredAnswers) {
	j := f.job
	j.lastAnswer = a
	j.maybeSent = j.maybeSent || a.MaybeSent && step == stepBackOff

	final := false // the second answer of these kinds is final
	switch step {
	case stepReauthorize:
		final = j.reauthorized || !s.recordAccessTokenRefusalLocked(f.accessTokenNumber, a.HTTP, now)
		j.reauthorized = true
	case stepNotFromFCM:
		final = j.notFromFCM
		j.notFromFCM = true
	}
	if final {
		out.add(s.answerLocked(j, a))
		return
	}

	if until, ok := j.project.scheduler.retryJob(j, step, retry, j.ctx.Err() != nil || s.closed, now); !ok {
		out.add(s.answerWaitingLocked(j, now, until, j.project.waitReason(now)))
	}
}
