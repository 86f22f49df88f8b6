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

func (a answers) call() {
	for _, f := range a {
		f()
	}
}

// answerLocked removes j everywhere. The returned function gives its answer.
func (s *Sender) answerLocked(j *job, a Answer) func() {
	s.leaveLocked(j)
	a.Attempts = j.attempts
	return func() { j.answered(a) }
}

// giveUpLocked answers j with Waiting until a time.
func (s *Sender) giveUpLocked(j *job, now, until time.Time, why string) func() {
	a := j.last
	a.Class, a.Sent, a.NotBefore = Waiting, j.sent, s.cfg.Now().Add(max(until.Sub(now), 0))
	a.Text = cmp.Or(a.Text, why)
	return s.answerLocked(j, a)
}

// holdLocked sends nothing to any project before until, and answers the jobs that
// cannot wait so long.
func (s *Sender) holdLocked(now, until time.Time, why string) (out answers) {
	for _, p := range s.projects {
		p.scheduler.limiter.hold(until)
		p.why, p.heldFor = why, 0
		out = append(out, s.failBeyondHoldLocked(p, now)...)
	}
	return out
}

// failBeyondHoldLocked answers the jobs of a project that may not be sent any more
// when its current hold ends.
func (s *Sender) failBeyondHoldLocked(p *project, now time.Time) (out answers) {
	until := p.scheduler.limiter.heldUntil()
	for _, j := range p.scheduler.beyondHold() {
		if j.index < 0 {
			j.last.HTTP = cmp.Or(j.last.HTTP, p.heldFor)
		}
		out.add(s.giveUpLocked(j, now, until, p.why))
	}
	return out
}

// overdueLocked answers jobs that are still ready though their time is over.
func (s *Sender) overdueLocked(now time.Time) (out answers) {
	for _, p := range s.projects {
		for _, j := range p.scheduler.overdue(now) {
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
		j.last.HTTP = cmp.Or(j.last.HTTP, j.project.heldFor)
	}
	return s.giveUpLocked(j, now, until, j.project.reason(now))
}

// schedule starts everything that can be started.
func (s *Sender) schedule() {
	s.mu.Lock()
	now := time.Now()
	var out answers
	for {
		f, ok := s.nextLocked(now, &out)
		if !ok {
			break
		}
		w := s.workerLocked()
		s.launchLocked(w, &f)
		w.work <- f
	}

	s.mu.Unlock()
	out.call()
}

// workerLocked returns an idle worker, or a new one.
func (s *Sender) workerLocked() *worker {
	if n := len(s.parked); n > 0 {
		w := s.parked[n-1]
		s.parked = s.parked[:n-1]
		return w
	}
	w := &worker{s: s, work: make(chan attempt, 1), patience: newPatience()}
	s.workers = append(s.workers, w)
	go func() {
		if f, ok := <-w.work; ok {
			w.run(f)
		}
	}()
	return w
}

func (s *Sender) launchLocked(w *worker, f *attempt) {
	if w.patience.Err() != nil {
		w.patience = newPatience()
	}
	w.end = f.began.Add(s.cfg.Timeout)
	f.j.crowd.jobs[f.j] = w
}

// wake is called by the timer.
func (s *Sender) wake() {
	s.mu.Lock()
	s.wakeAt = time.Time{}
	s.mu.Unlock()
	s.schedule()
}

// wakeInLocked makes sure that schedule is called again after d.
func (s *Sender) wakeInLocked(now time.Time, d time.Duration) {
	at := now.Add(d)
	if s.wakeAt.IsZero() || at.Before(s.wakeAt) {
		s.wakeAt = at
		s.timer.Reset(d)
	}
}

// nextLocked takes the next job if one can be sent now. Projects take turns; one that
// has to wait is passed over. If none can send, the timer or an event calls schedule
// again.
func (s *Sender) nextLocked(now time.Time, out *answers) (attempt, bool) {
	for range s.projects {
		p := s.projects[s.turn]
		s.turn = (s.turn + 1) % len(s.projects)
		if f, ok := s.nextOfLocked(p, now, out); ok {
			return f, true
		}
	}
	return attempt{}, false
}

// nextOfLocked takes the next job of a project if it can be sent now.
func (s *Sender) nextOfLocked(p *project, now time.Time, out *answers) (attempt, bool) {
	for !s.closed {
		d := p.scheduler.decide(now)
		if d.job == nil {
			if d.wait > 0 {
				s.wakeInLocked(now, d.wait)
			}
			return attempt{}, false
		}
		if d.over {
			out.add(s.expireLocked(d.job, now))
			continue
		}
		if !s.usableLocked(now) {
			if s.key.broken == nil {
				return attempt{}, false // the fetch calls schedule
			}
			out.add(s.answerLocked(d.job, Answer{Class: Misconfigured, Text: s.key.broken.Error(),
				HTTP: d.job.last.HTTP, Status: d.job.last.Status}))
			continue
		}

		c, soon := s.pool.pick(now)
		if c == nil {
			s.blockedLocked()
			if s.dialLocked(now); soon {
				s.wakeInLocked(now, time.Millisecond)
			}
			return attempt{}, false // a completed attempt or a dial calls schedule
		}
		p.scheduler.take(d.job, now)
		s.flying++
		return attempt{j: d.job, c: c, header: s.headerLocked(p), key: s.key.number, began: now}, true
	}
	return attempt{}, false
}

func tooLarge(n int) Answer {
	return Answer{Class: Refused, Code: "INVALID_ARGUMENT",
		Text: fmt.Sprintf("the message is %d bytes large with a customer's id; FCM takes %d", n, MaxSize)}
}
