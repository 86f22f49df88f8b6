package fcm

import (
	"context"
	"time"
)

// A job is an item on its way to its answer.
type job struct {
	Item
	ctx      context.Context
	answered func(Answer)
	mailing  string    // whose turn it is sent in
	limit    time.Time // no attempt begins after it; zero: no end
	topic    bool      // the target is a topic: a proof
	once     bool      // answered Waiting rather than tried again

	attempts     int
	moved        int  // how often it was sent elsewhere because it had not been processed
	limited      int  // how often it was answered 429
	sent         bool // see Answer.Sent
	reauthorized bool // it was refused once for our credentials
	doubted      bool // it was answered once by somebody else than FCM
	last         Answer

	crowd      *crowd
	line       *line // in the queue; nil: it is not there
	prev, next *job
	due        time.Time // among the retries
	index      int       // there; -1: it is not
}

// over reports whether an attempt may not begin any more at that time.
func (j *job) over(at time.Time) bool { return !j.limit.IsZero() && at.After(j.limit) }

// priority reports whether j goes before the mailings.
func (j *job) priority() bool { return j.Priority || j.topic }

// A crowd is the jobs whose contexts end together: one watch for all of them.
type crowd struct {
	done <-chan struct{}
	jobs map[*job]*worker // nil: not under way
	stop func() bool
}

// joinLocked puts j into the crowd of its context.
func (s *Sender) joinLocked(j *job) {
	done := j.ctx.Done()
	c := s.crowds[done]
	if c == nil {
		c = &crowd{done: done, jobs: map[*job]*worker{}}
		c.stop = context.AfterFunc(j.ctx, func() { s.disperse(c) })
		s.crowds[done] = c
	}
	c.jobs[j] = nil
	j.crowd = c
}

// leaveLocked takes j out of everything: it is about to be answered.
func (s *Sender) leaveLocked(j *job) {
	s.scheduler.remove(j)
	c := j.crowd
	delete(c.jobs, j)
	if len(c.jobs) == 0 && s.crowds[c.done] == c {
		c.stop()
		delete(s.crowds, c.done)
	}
}

// disperse answers a crowd whose contexts have ended. What is under way gets a
// moment to come to its end: to break it off would leave open whether the
// device gets the message.
func (s *Sender) disperse(c *crowd) {
	s.mu.Lock()
	now := time.Now()
	var out answers
	for j, w := range c.jobs {
		if w != nil {
			w.hurryLocked(now.Add(s.cfg.Grace))
			continue
		}
		out.add(s.giveUpLocked(j, now, now, "its time ended"))
	}
	s.mu.Unlock()
	out.call()
}
