package fcm

import (
	"cmp"
	"fmt"
	"slices"
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

// answer takes j out of everything; the function returned gives its answer.
func (s *Sender) answer(j *job, a Answer) func() {
	s.leave(j)
	a.Attempts = j.attempts
	return func() { j.answered(a) }
}

// giveUp answers j Waiting until then.
func (s *Sender) giveUp(j *job, now, until time.Time, why string) func() {
	a := j.last
	a.Outcome, a.Sent, a.NotBefore = Waiting, j.sent, s.cfg.Now().Add(max(until.Sub(now), 0))
	a.Text = cmp.Or(a.Text, why)
	return s.answer(j, a)
}

// hold lets nothing out before until and answers at once what cannot wait so
// long.
func (s *Sender) hold(now, until time.Time, why string) (out answers) {
	s.pace.hold(until)
	s.why, s.heldFor = why, 0
	return s.shed(now)
}

// shed answers what may not begin any more when the present hold ends.
func (s *Sender) shed(now time.Time) (out answers) {
	until := s.pace.held
	for j := s.line.head; j != nil; {
		next := j.next
		if j.once || j.over(until) {
			j.last.HTTP = cmp.Or(j.last.HTTP, s.heldFor)
			out.add(s.giveUp(j, now, until, s.why))
		}
		j = next
	}
	for _, j := range slices.Clone(s.waiters) {
		if j.over(until) {
			out.add(s.giveUp(j, now, until, s.why))
		}
	}
	return out
}

// reason is why an item is given back now.
func (s *Sender) reason(now time.Time) string {
	if s.pace.held.After(now) {
		return s.why
	}
	return "its time ended"
}

// overdue answers what is still in the line though its time is over.
func (s *Sender) overdue(now time.Time) (out answers) {
	for j := s.line.head; j != nil; {
		next := j.next
		if j.over(now) {
			out.add(s.giveUp(j, now, now, "its time ended"))
		}
		j = next
	}
	return out
}

// kick starts whatever can be started.
func (s *Sender) kick() {
	s.mu.Lock()
	now := time.Now()
	var out answers
	for {
		f, ok := s.next(now, &out)
		if !ok {
			break
		}
		w := s.worker()
		s.launch(w, &f)
		w.work <- f
	}
	s.mu.Unlock()
	out.call()
}

// worker finds a worker that has nothing to do, or makes one.
func (s *Sender) worker() *worker {
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

func (s *Sender) launch(w *worker, f *flight) {
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

// wakeIn makes sure that kick is called again after d.
func (s *Sender) wakeIn(now time.Time, d time.Duration) {
	at := now.Add(d)
	if s.wakeAt.IsZero() || at.Before(s.wakeAt) {
		s.wakeAt = at
		s.timer.Reset(d)
	}
}

// next takes the job whose turn it is, if it can be sent now; otherwise the
// timer or an event will call again.
func (s *Sender) next(now time.Time, out *answers) (flight, bool) {
	for len(s.waiters) > 0 && !s.waiters[0].due.After(now) {
		j := s.waiters[0]
		s.waiters.remove(j)
		s.line.pushFront(j)
	}
	if len(s.waiters) > 0 {
		s.wakeIn(now, s.waiters[0].due.Sub(now))
	}
	for !s.closed && s.line.head != nil {
		j := s.line.head
		if j.over(now) {
			out.add(s.giveUp(j, now, now, "its time ended"))
			continue
		}
		if d := s.pace.wait(now); d > 0 {
			s.wakeIn(now, d)
			return flight{}, false
		}
		if !s.usable(now) {
			if s.key.broken == nil {
				return flight{}, false // fetchKey will kick
			}
			out.add(s.answer(j, Answer{Outcome: Misconfigured, Text: s.key.broken.Error(), HTTP: j.last.HTTP, Status: j.last.Status}))
			continue
		}
		c, soon := s.pool.pick(now)
		if c == nil {
			if s.dial(now); soon {
				s.wakeIn(now, time.Millisecond)
			}
			return flight{}, false // a landing or a dial will kick
		}
		s.pace.take()
		s.line.remove(j)
		j.attempts++
		s.flying++
		return flight{j: j, c: c, header: s.key.header, key: s.key.number, began: now}, true
	}
	return flight{}, false
}

func tooLarge(n int) Answer {
	return Answer{Outcome: Refused, Code: "INVALID_ARGUMENT",
		Text: fmt.Sprintf("the message is %d bytes large with a customer's id; FCM takes %d", n, MaxSize)}
}
