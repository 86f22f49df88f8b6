package fcm

import (
	"context"
	"fmt"
	"time"
)

// Send sends an item as soon as the connections and the quota of its project allow.
// Mailings take turns, and so do projects. Send never blocks.
//
// answered is called exactly once, from a goroutine of the sender, and must return
// quickly. When ctx ends, an item that is not under way is answered Waiting at once. An
// item that is under way is answered after Config.Grace at the latest.
func (s *Sender) Send(ctx context.Context, it Item, answered func(Answer)) {
	s.sendJob(&job{Item: it, ctx: ctx, giveAnswer: answered, mailing: it.Message.mailing, retryIndex: -1})
}

// sendJob adds a job to the queue of its project. It answers a job that can never be
// sent, or not in time.
func (s *Sender) sendJob(j *job) {
	if n := j.Message.Size(j.Customer); n > MaxSize {
		go j.giveAnswer(tooLarge(n))
		return
	}
	if j.project = s.projectOf(j.Project); j.project == nil {
		go j.giveAnswer(Answer{Class: Misconfigured, Text: "the sender has no project " + j.Project})
		return
	}

	now := time.Now()
	j.deadline = s.deadlineOf(j, now)
	var out deferredAnswers
	// The lock guards the queue, and closed: no job is added after Close has answered all
	// jobs.
	s.mu.Lock()
	s.joinGroupLocked(j)
	s.enqueueLocked(j, now, &out)
	// If the queue had jobs already, an event or the timer calls startReadyJobs for them.
	onlyJob := j.project.scheduler.queue.length == 1
	s.mu.Unlock()

	if out != nil {
		// Send never blocks and never answers from the caller's goroutine, because the
		// caller may hold a lock that its answered function needs.
		go out.giveAll()
	}
	if onlyJob {
		s.startReadyJobs()
	}
}

// enqueueLocked adds j to the queue, or answers it if it cannot be sent in time.
func (s *Sender) enqueueLocked(j *job, now time.Time, out *deferredAnswers) {
	limiter := &j.project.scheduler.limiter
	until := limiter.heldUntil()
	held := until.After(now)
	tooLate := held && (j.doesNotWait || j.isOver(limiter.earliestSend()))
	switch {
	case s.closed:
		out.add(s.answerWaitingLocked(j, now, now, "the sender is closed"))
	case j.ctx.Err() != nil:
		out.add(s.answerWaitingLocked(j, now, now, "its time ended"))
	case j.isOver(now), tooLate:
		if held {
			j.lastAnswer.HTTP = j.project.holdStatus
		}
		out.add(s.answerWaitingLocked(j, now, until, j.project.waitReason(now)))
	default:
		j.project.scheduler.queue.pushBack(j)
	}
}

// deadlineOf returns the time after which the job may not be sent: the end of Item.Until
// or of its context, whichever comes first. Zero: there is none. Item.Until is by the
// clock of Config.Now, all times in the sender are by time.Now.
func (s *Sender) deadlineOf(j *job, now time.Time) (at time.Time) {
	if !j.Until.IsZero() {
		at = now.Add(j.Until.Sub(s.cfg.Now()))
	}

	if d, ok := j.ctx.Deadline(); ok && (at.IsZero() || d.Before(at)) {
		at = d
	}
	return at
}

// tooLarge is the answer of a message whose payload has n bytes.
func tooLarge(n int) Answer {
	return Answer{Class: Refused, Code: "INVALID_ARGUMENT",
		Text: fmt.Sprintf("the message is %d bytes large with a customer's id; FCM takes %d", n, MaxSize)}
}
