package fcm

import (
	"cmp"
	"fmt"
	"time"
)

// answers are answers that are to be given once Sender.mu is free.
type answers []func()

func (a *answers) add(f func()) { *a = append(*a, f) }

func (a answers) call() {
	for _, f := range a {
		f()
	}
}

// answerLocked takes j out of everything; the function returned gives its answer.
func (s *Sender) answerLocked(j *job, a Answer) func() {
	s.leaveLocked(j)
	a.Attempts = j.attempts
	return func() { j.answered(a) }
}

// giveUpLocked answers j Waiting until then.
func (s *Sender) giveUpLocked(j *job, now, until time.Time, why string) func() {
	a := j.last
	a.Outcome, a.Sent, a.NotBefore = Waiting, j.sent, s.cfg.Now().Add(max(until.Sub(now), 0))
	a.Text = cmp.Or(a.Text, why)
	return s.answerLocked(j, a)
}

// holdLocked lets nothing out before until and answers at once what cannot wait
// so long.
func (s *Sender) holdLocked(now, until time.Time, why string) (out answers) {
	s.scheduler.limiter.hold(until)
	s.why, s.heldFor = why, 0
	return s.shedLocked(now)
}

// shedLocked answers what may not begin any more when the present hold ends.
func (s *Sender) shedLocked(now time.Time) (out answers) {
	until := s.scheduler.limiter.heldUntil()
	for _, j := range s.scheduler.impatient() {
		if j.index < 0 {
			j.last.HTTP = cmp.Or(j.last.HTTP, s.heldFor)
		}
		out.add(s.giveUpLocked(j, now, until, s.why))
	}
	return out
}

// reasonLocked is why an item is given back now.
func (s *Sender) reasonLocked(now time.Time) string {
	if s.scheduler.limiter.heldUntil().After(now) {
		return s.why
	}
	return "its time ended"
}

// overdueLocked answers what is still ready though its time is over.
func (s *Sender) overdueLocked(now time.Time) (out answers) {
	for _, j := range s.scheduler.overdue(now) {
		out.add(s.lapseLocked(j, now))
	}
	return out
}

// lapseLocked gives j back, whose time is over: until the present hold ends.
func (s *Sender) lapseLocked(j *job, now time.Time) func() {
	until := s.scheduler.limiter.heldUntil()
	if until.After(now) {
		j.last.HTTP = cmp.Or(j.last.HTTP, s.heldFor)
	}
	return s.giveUpLocked(j, now, until, s.reasonLocked(now))
}

// kick starts whatever can be started.
func (s *Sender) kick() {
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

// workerLocked finds a worker that has nothing to do, or makes one.
func (s *Sender) workerLocked() *worker {
	if n := len(s.parked); n > 0 {
		w := s.parked[n-1]
		s.parked = s.parked[:n-1]
		return w
	}
	w := &worker{s: s, work: make(chan flight, 1), patience: newPatience()}
	s.workers = append(s.workers, w)
	go func() {
		if f, ok := <-w.work; ok {
			w.run(f)
		}
	}()
	return w
}

func (s *Sender) launchLocked(w *worker, f *flight) {
	if w.patience.Err() != nil {
		w.patience = newPatience()
	}
	w.end = f.began.Add(s.cfg.Timeout)
	f.j.crowd.jobs[f.j] = w
}

// wake is the timer's.
func (s *Sender) wake() {
	s.mu.Lock()
	s.wakeAt = time.Time{}
	s.mu.Unlock()
	s.kick()
}

// wakeInLocked makes sure that kick is called again after d.
func (s *Sender) wakeInLocked(now time.Time, d time.Duration) {
	at := now.Add(d)
	if s.wakeAt.IsZero() || at.Before(s.wakeAt) {
		s.wakeAt = at
		s.timer.Reset(d)
	}
}

// nextLocked takes the job whose turn it is, if it can be sent now; otherwise
// the timer or an event will call again.
func (s *Sender) nextLocked(now time.Time, out *answers) (flight, bool) {
	for !s.closed {
		d := s.scheduler.decide(now)
		if d.job == nil {
			if d.wait > 0 {
				s.wakeInLocked(now, d.wait)
			}
			return flight{}, false
		}
		if d.over {
			out.add(s.lapseLocked(d.job, now))
			continue
		}
		if !s.usableLocked(now) {
			if s.key.broken == nil {
				return flight{}, false // fetchKey will kick
			}
			out.add(s.answerLocked(d.job, Answer{Outcome: Misconfigured, Text: s.key.broken.Error(),
				HTTP: d.job.last.HTTP, Status: d.job.last.Status}))
			continue
		}

		c, soon := s.pool.pick(now)
		if c == nil {
			s.scheduler.limiter.use.blocked = true
			if s.dialLocked(now); soon {
				s.wakeInLocked(now, time.Millisecond)
			}
			return flight{}, false // a landing or a dial will kick
		}
		s.scheduler.take(d.job, now)
		s.flying++
		return flight{j: d.job, c: c, header: s.key.header, key: s.key.number, began: now}, true
	}
	return flight{}, false
}

func tooLarge(n int) Answer {
	return Answer{Outcome: Refused, Code: "INVALID_ARGUMENT",
		Text: fmt.Sprintf("the message is %d bytes large with a customer's id; FCM takes %d", n, MaxSize)}
}
