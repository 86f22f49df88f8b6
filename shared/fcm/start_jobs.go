package fcm

import "time"

// startReadyJobs starts an attempt for every job that can be sent now. It has to be called
// after each change that may let a job be sent: a new job, a connection, an access token, a
// share of the quota, or time.
func (s *Sender) startReadyJobs() {
	// The lock makes the choice of a job, of its connection and of its worker one step: two
	// goroutines never take the same one.
	s.mu.Lock()
	now := time.Now()
	var out deferredAnswers
	for {
		f, ok := s.nextAttemptLocked(now, &out)
		if !ok {
			break
		}

		w := s.idleWorkerLocked()
		s.beginAttemptLocked(w, &f)
		w.work <- f // does not block: the channel has room for one, and w is idle
	}

	s.mu.Unlock()
	out.giveAll()
}

// nextAttemptLocked takes the next job if one can be sent now. Projects take turns; one that
// has to wait is passed over. If none can send, the timer or an event calls startReadyJobs
// again.
func (s *Sender) nextAttemptLocked(now time.Time, out *deferredAnswers) (attempt, bool) {
	for range s.projects {
		p := s.projects[s.nextProject]
		s.nextProject = (s.nextProject + 1) % len(s.projects)
		if f, ok := s.nextProjectAttemptLocked(p, now, out); ok {
			return f, true
		}
	}
	return attempt{}, false
}

// nextProjectAttemptLocked takes the next job of a project if it can be sent now. It answers the
// jobs before it that cannot be sent any more.
func (s *Sender) nextProjectAttemptLocked(p *project, now time.Time, out *deferredAnswers) (attempt, bool) {
	for !s.closed {
		d := p.scheduler.decideNext(now)
		if d.job == nil {
			if d.wait > 0 {
				s.setTimerLocked(now, d.wait)
			}
			return attempt{}, false
		}

		if d.over {
			out.add(s.answerOverdueJobLocked(d.job, now))
			continue
		}

		if !s.ensureAccessTokenLocked(now) {
			if s.credentials.broken == nil {
				return attempt{}, false // fetchAccessToken calls startReadyJobs when it has ended
			}
			out.add(s.answerLocked(d.job, Answer{Class: Misconfigured, Text: s.credentials.broken.Error(),
				HTTP: d.job.lastAnswer.HTTP, Status: d.job.lastAnswer.Status}))
			continue
		}

		c, soon := s.pool.reserveConn(now)
		if c == nil {
			s.recordBlockedLocked()
			s.dialIfDueLocked(now)
			if soon {
				s.setTimerLocked(now, time.Millisecond)
			}
			return attempt{}, false // completeAttempt or dialConn looks for the next job
		}

		p.scheduler.takeJob(d.job, now)
		s.inFlight++
		return attempt{job: d.job, conn: c, header: s.headerLocked(p), accessTokenNumber: s.credentials.number, began: now}, true
	}
	return attempt{}, false
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

// beginAttemptLocked records that w makes the attempt. A context that has ended is replaced;
// others are used again, so that a request needs no context of its own.
func (s *Sender) beginAttemptLocked(w *worker, f *attempt) {
	if w.ctx.Err() != nil {
		w.ctx = newAttemptContext()
	}
	w.cancelAt = f.began.Add(s.cfg.Timeout)
	f.job.group.jobs[f.job] = w
}

// setTimerLocked makes sure that startReadyJobs is called after d at the latest. A timer
// that is set to an earlier time stays.
func (s *Sender) setTimerLocked(now time.Time, d time.Duration) {
	at := now.Add(d)
	if s.timerAt.IsZero() || at.Before(s.timerAt) {
		s.timerAt = at
		s.timer.Reset(d)
	}
}

// onTimer is called when the time of the timer has come.
func (s *Sender) onTimer() {
	s.mu.Lock()
	s.timerAt = time.Time{}
	s.mu.Unlock()
	s.startReadyJobs()
}
