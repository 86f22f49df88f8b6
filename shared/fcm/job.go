package fcm

import (
	"context"
	"time"
)

// A job is an item until it is answered.
type job struct {
	Item
	ctx           context.Context
	giveAnswer    func(Answer)
	project       *project  // of Item.Project
	mailing       string    // it is sent when it is the turn of this mailing
	deadline      time.Time // no attempt begins after it; zero: no end
	toTopic       bool      // the target is a topic: a proof
	singleAttempt bool      // it is answered with Waiting and not tried again

	attempts     int
	reroutes     int  // how often it was sent over another connection because the server had not processed it
	limitedCount int  // how often the answer was 429
	sent         bool // see Answer.Sent
	reauthorized bool // our credentials were refused once for it
	askedAgain   bool // something other than FCM answered it once
	lastAnswer   Answer

	group      *contextGroup
	queuedIn   *mailingQueue // its place in the queue; nil: it is not in it
	prev, next *job
	retryAt    time.Time // with retries: when it is tried again
	retryIndex int       // its place in retries; -1: it is not in them
}

// isOver reports whether the job may not be sent any more at that time.
func (j *job) isOver(at time.Time) bool { return !j.deadline.IsZero() && at.After(j.deadline) }

// hasPriority reports whether the job goes before mailings.
func (j *job) hasPriority() bool { return j.Priority || j.toTopic }

// A contextGroup has the jobs whose contexts end together, so that one goroutine
// watches all of them.
type contextGroup struct {
	done <-chan struct{}
	jobs map[*job]*worker // nil: it is not under way
	stop func() bool
}

// joinGroupLocked adds j to the group of its context.
func (s *Sender) joinGroupLocked(j *job) {
	done := j.ctx.Done()
	c := s.groups[done]
	if c == nil {
		c = &contextGroup{done: done, jobs: map[*job]*worker{}}
		c.stop = context.AfterFunc(j.ctx, func() { s.answerGroup(c) })
		s.groups[done] = c
	}
	c.jobs[j] = nil
	j.group = c
}

// forgetJobLocked removes j everywhere, because it is about to be answered.
func (s *Sender) forgetJobLocked(j *job) {
	j.project.scheduler.removeJob(j)
	c := j.group
	delete(c.jobs, j)
	if len(c.jobs) == 0 && s.groups[c.done] == c {
		c.stop()
		delete(s.groups, c.done)
	}
}

// answerGroup answers a group whose contexts have ended. Requests under way get some
// time: if they were broken off, it would be unknown whether the device gets the
// message.
func (s *Sender) answerGroup(c *contextGroup) {
	s.mu.Lock()
	now := time.Now()
	var out answers
	for j, w := range c.jobs {
		if w != nil {
			w.shortenLocked(now.Add(s.cfg.Grace))
			continue
		}
		out.add(s.giveUpLocked(j, now, now, "its time ended"))
	}
	s.mu.Unlock()
	out.giveAll()
}
