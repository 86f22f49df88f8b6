package fcm

import (
	"cmp"
	"time"
)

// deferredAnswers are answers that are given after Sender.mu is released: to give one calls code
// of the caller, which may call Send.
type deferredAnswers []func()

func (a *deferredAnswers) add(f func()) { *a = append(*a, f) }

// giveAll gives the answers. Sender.mu must not be held.
func (a deferredAnswers) giveAll() {
	for _, f := range a {
		f()
	}
}

// answerLocked removes j from the sender, so that no other goroutine answers it too. The
// returned function gives the answer.
func (s *Sender) answerLocked(j *job, a Answer) func() {
	s.forgetJobLocked(j)
	a.Attempts, a.Limited = j.attempts, j.limitedCount
	return func() { j.giveAnswer(a) }
}

// answerWaitingLocked answers j with Waiting. It may be sent again from until on. why is the text
// of the answer if FCM gave none.
func (s *Sender) answerWaitingLocked(j *job, now, until time.Time, why string) func() {
	a := j.lastAnswer
	a.Class, a.MaybeSent, a.NotBefore = Waiting, j.maybeSent, s.cfg.Now().Add(max(until.Sub(now), 0))
	a.Text = cmp.Or(a.Text, why)
	return s.answerLocked(j, a)
}

// answerOverdueJobLocked answers a job whose time is over: it may be tried again when the
// current hold ends.
func (s *Sender) answerOverdueJobLocked(j *job, now time.Time) func() {
	until := j.project.scheduler.limiter.heldUntil()
	if until.After(now) {
		j.lastAnswer.HTTP = cmp.Or(j.lastAnswer.HTTP, j.project.holdStatus)
	}
	return s.answerWaitingLocked(j, now, until, j.project.waitReason(now))
}

// holdLocked holds all projects: nothing is sent before until. It answers the jobs that
// cannot wait so long.
func (s *Sender) holdLocked(now, until time.Time, why string) (out deferredAnswers) {
	for _, p := range s.projects {
		p.scheduler.limiter.extendHold(until)
		p.holdReason, p.holdStatus = why, 0
		out = append(out, s.answerBeyondHoldLocked(p, now)...)
	}
	return out
}

// answerBeyondHoldLocked answers the jobs of a project that may not be sent any more
// when its current hold ends.
func (s *Sender) answerBeyondHoldLocked(p *project, now time.Time) (out deferredAnswers) {
	until := p.scheduler.limiter.heldUntil()
	for _, j := range p.scheduler.jobsBeyondHold() {
		if j.retryIndex < 0 {
			j.lastAnswer.HTTP = cmp.Or(j.lastAnswer.HTTP, p.holdStatus)
		}
		out.add(s.answerWaitingLocked(j, now, until, p.holdReason))
	}
	return out
}
