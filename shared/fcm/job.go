package fcm

import (
	"context"
	"time"
)

// A job is an item from Send until its answer. Sender.mu guards it after sendJob has
// added it to the queue.
type job struct {
	Item
	ctx         context.Context
	giveAnswer  func(Answer)
	project     *project  // of Item.Project
	mailing     string    // it is sent when it is the turn of this mailing
	deadline    time.Time // no attempt begins after it; zero: no end
	toTopic     bool      // the target is a topic: a proof
	doesNotWait bool      // it is answered with Waiting where another job would wait for a retry or the end of a hold

	attempts     int
	reroutes     int  // how often it was sent over another connection because the server had not processed it
	limitedCount int  // how often the answer was 429
	maybeSent    bool // see Answer.MaybeSent
	reauthorized bool // our credentials were refused once for it
	notFromFCM   bool // an answer for it did not come from FCM
	lastAnswer   Answer

	group      *contextGroup
	queuedIn   *mailingQueue // the queue that it is in; nil: none
	prev, next *job
	retryAt    time.Time // with retries: when it is tried again
	retryIndex int       // its place in retries; -1: it is not in them
}

// isOver reports whether the job may not be sent any more at that time.
func (j *job) isOver(at time.Time) bool { return !j.deadline.IsZero() && at.After(j.deadline) }

// hasPriority reports whether the job goes before mailings.
func (j *job) hasPriority() bool { return j.Priority || j.toTopic }

// A contextGroup has the jobs whose contexts have the same Done channel. The context
// package calls one function for the whole group when they end, instead of one for each
// job: a batch has up to 1,000 jobs and one context.
type contextGroup struct {
	done <-chan struct{}
	jobs map[*job]*worker // the worker that makes an attempt; nil: the job is not under way
	stop func() bool      // ends the call of context.AfterFunc, once no job is left
}

// joinGroupLocked adds j to the group of its context, and makes the group if j is the first.
func (s *Sender) joinGroupLocked(j *job) {
	done := j.ctx.Done()
	g := s.groups[done]
	if g == nil {
		g = &contextGroup{done: done, jobs: map[*job]*worker{}}
		// If the context has ended already, answerGroup runs at once in a goroutine of its
		// own, which waits for Sender.mu.
		g.stop = context.AfterFunc(j.ctx, func() { s.answerGroup(g) })
		s.groups[done] = g
	}
	g.jobs[j] = nil
	j.group = g
}

// forgetJobLocked removes j everywhere, because it is about to be answered.
func (s *Sender) forgetJobLocked(j *job) {
	j.project.scheduler.removeJob(j)

	g := j.group
	delete(g.jobs, j)

	// An empty group is deleted. The next job with this context makes another one.
	if len(g.jobs) == 0 && s.groups[g.done] == g {
		g.stop()
		delete(s.groups, g.done)
	}
}

// answerGroup answers the jobs of a group whose contexts have ended. Requests under way
// get Config.Grace: if they were broken off, it would be unknown whether the device gets
// the message.
func (s *Sender) answerGroup(g *contextGroup) {
	var out deferredAnswers
	// The lock guards jobs: completeAttempt may be about to answer one of them.
	s.mu.Lock()
	now := time.Now()
	for j, w := range g.jobs {
		if w != nil {
			w.shortenLocked(now.Add(s.cfg.Grace))
			continue
		}
		out.add(s.answerWaitingLocked(j, now, now, "its time ended"))
	}

	s.mu.Unlock()

	out.giveAll()
}
