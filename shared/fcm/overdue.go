package fcm

import "time"

// poolResizeEvery is how often the number of wanted connections is computed.
const poolResizeEvery = 250 * time.Millisecond

// watchOverdue runs until the sender is closed. It handles what no event triggers: overdue
// requests, dead connections, queued jobs whose time is over, and the share of the quota.
func (s *Sender) watchOverdue() {
	every := min(max(s.cfg.Timeout/20, 5*time.Millisecond), 250*time.Millisecond)
	t := time.NewTicker(every)
	defer t.Stop()
	resized := time.Now()

	for {
		select {
		case <-s.watchDone:
			return
		case <-t.C:
		}

		// The lock guards the workers, the connections and the schedulers while they are
		// looked at.
		s.mu.Lock()
		now := time.Now()
		for _, w := range s.workers {
			w.cancelOverdueLocked(now)
		}

		if now.Sub(resized) >= poolResizeEvery {
			resized = now
			s.pool.setWanted(s.rateLocked())
		}

		s.pool.removeClosed()
		s.dialIfDueLocked(now)
		s.ensureAccessTokenLocked(now) // fetches a new access token before the current one expires
		s.startExchangesLocked(now)
		out := s.answerOverdueLocked(now)
		s.mu.Unlock()

		out.giveAll()
		s.startReadyJobs()
	}
}

// answerOverdueLocked answers jobs that are still ready though their time is over.
func (s *Sender) answerOverdueLocked(now time.Time) (out deferredAnswers) {
	for _, p := range s.projects {
		for _, j := range p.scheduler.overdueJobs(now) {
			out.add(s.answerOverdueJobLocked(j, now))
		}
	}
	return out
}
