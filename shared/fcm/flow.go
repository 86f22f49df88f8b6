package fcm

import (
	"cmp"
	"fmt"
	"time"
)

// answers are answers to give once Sender.mu is free, because answering calls code of
// the caller.
type answers []func()

func (a *answers) add(f func()) { *a = append(*a, f) }

func (a answers) giveAll() {
	for _, f := range a {
		f()
	}
}

// answerLocked removes j everywhere. The returned function gives its answer.
func (s *Sender) answerLocked(j *job, a Answer) func() {
	s.forgetJobLocked(j)
	a.Attempts = j.attempts
	return func() { j.giveAnswer(a) }
}

// giveUpLocked answers j with Waiting until a time.
func (s *Sender) giveUpLocked(j *job, now, until time.Time, why string) func() {
	a := j.lastAnswer
	a.Class, a.Sent, a.NotBefore = Waiting, j.sent, s.cfg.Now().Add(max(until.Sub(now), 0))
	a.Text = cmp.Or(a.Text, why)
	return s.answerLocked(j, a)
}

// holdLocked sends nothing to any project before until, and answers the jobs that
// cannot wait so long.
func (s *Sender) holdLocked(now, until time.Time, why string) (out answers) {
	for _, p := range s.projects {
		p.scheduler.limiter.extendHold(until)
		p.holdReason, p.holdStatus = why, 0
		out = append(out, s.failBeyondHoldLocked(p, now)...)
	}
	return out
}

// failBeyondHoldLocked answers the jobs of a project that may not be sent any more
// when its current hold ends.
func (s *Sender) failBeyondHoldLocked(p *project, now time.Time) (out answers) {
	until := p.scheduler.limiter.heldUntil()
	for _, j := range p.scheduler.jobsBeyondHold() {
		if j.retryIndex < 0 {
			j.lastAnswer.HTTP = cmp.Or(j.lastAnswer.HTTP, p.holdStatus)
		}
		out.add(s.giveUpLocked(j, now, until, p.holdReason))
	}
	return out
}

// answerOverdueLocked answers jobs that are still ready though their time is over.
func (s *Sender) answerOverdueLocked(now time.Time) (out answers) {
	for _, p := range s.projects {
		for _, j := range p.scheduler.overdueJobs(now) {
			out.add(s.expireLocked(j, now))
		}
	}
	return out
}

// expireLocked answers a job whose time is over: it may be tried again when the
// current hold ends.
func (s *Sender) expireLocked(j *job, now time.Time) func() {
	until := j.project.scheduler.limiter.heldUntil()
	if until.After(now) {
		j.lastAnswer.HTTP = cmp.Or(j.lastAnswer.HTTP, j.project.holdStatus)
	}
	return s.giveUpLocked(j, now, until, j.project.waitReason(now))
}

// startReadyJobs starts everything that can be started.
func (s *Sender) startReadyJobs() {
	s.mu.Lock()
	now := time.Now()
	var out answers
	for {
		f, ok := s.nextAttemptLocked(now, &out)
		if !ok {
			break
		}
		w := s.idleWorkerLocked()
		s.beginAttemptLocked(w, &f)
		w.work <- f
	}

	s.mu.Unlock()
	out.giveAll()
}

// idleWorkerLocked returns an idle worker, or a new one.
func (s *Sender) idleWorkerLocked() *worker {
	if n := len(s.idleWorkers); n > 0 {
		w := s.idleWorkers[n-1]
		s.idleWorkers = s.idleWorkers[:n-1]
		return w
	}
	w := &worker{s: s, work: make(chan attempt, 1), ctx: newAttemptContext()}
	s.workers = append(s.workers, w)
	go func() {
		if f, ok := <-w.work; ok {
			w.runAttempts(f)
		}
	}()
	return w
}

func (s *Sender) beginAttemptLocked(w *worker, f *attempt) {
	if w.ctx.Err() != nil {
		w.ctx = newAttemptContext()
	}
	w.cancelAt = f.began.Add(s.cfg.Timeout)
	f.job.group.jobs[f.job] = w
}

// onTimer is called by the timer.
func (s *Sender) onTimer() {
	s.mu.Lock()
	s.timerAt = time.Time{}
	s.mu.Unlock()
	s.startReadyJobs()
}

// setTimerLocked makes sure that schedule is called again after d.
func (s *Sender) setTimerLocked(now time.Time, d time.Duration) {
	at := now.Add(d)
	if s.timerAt.IsZero() || at.Before(s.timerAt) {
		s.timerAt = at
		s.timer.Reset(d)
	}
}

// nextAttemptLocked takes the next job if one can be sent now. Projects take turns; one that
// has to wait is passed over. If none can send, the timer or an event calls schedule
// again.
func (s *Sender) nextAttemptLocked(now time.Time, out *answers) (attempt, bool) {
	for range s.projects {
		p := s.projects[s.nextProject]
		s.nextProject = (s.nextProject + 1) % len(s.projects)
		if f, ok := s.nextAttemptOfLocked(p, now, out); ok {
			return f, true
		}
	}
	return attempt{}, false
}

// nextAttemptOfLocked takes the next job of a project if it can be sent now.
func (s *Sender) nextAttemptOfLocked(p *project, now time.Time, out *answers) (attempt, bool) {
	for !s.closed {
		d := p.scheduler.decideNext(now)
		if d.job == nil {
			if d.wait > 0 {
				s.setTimerLocked(now, d.wait)
			}
			return attempt{}, false
		}
		if d.over {
			out.add(s.expireLocked(d.job, now))
			continue
		}
		if !s.tokenUsableLocked(now) {
			if s.credentials.broken == nil {
				return attempt{}, false // the fetch calls schedule
			}
			out.add(s.answerLocked(d.job, Answer{Class: Misconfigured, Text: s.credentials.broken.Error(),
				HTTP: d.job.lastAnswer.HTTP, Status: d.job.lastAnswer.Status}))
			continue
		}

		c, soon := s.pool.reserveConn(now)
		if c == nil {
			s.recordBlockedLocked()
			if s.dialIfDueLocked(now); soon {
				s.setTimerLocked(now, time.Millisecond)
			}
			return attempt{}, false // a completed attempt or a dial calls schedule
		}
		p.scheduler.takeJob(d.job, now)
		s.inFlight++
		return attempt{job: d.job, conn: c, header: s.headerLocked(p), tokenNumber: s.credentials.number, began: now}, true
	}
	return attempt{}, false
}

func tooLarge(n int) Answer {
	return Answer{Class: Refused, Code: "INVALID_ARGUMENT",
		Text: fmt.Sprintf("the message is %d bytes large with a customer's id; FCM takes %d", n, MaxSize)}
}
