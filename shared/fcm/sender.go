package fcm

import (
	"context"
	"sync"
	"time"
)

// A Sender sends messages to FCM. A process needs only one: all messages share its
// connections, those of a project share the rate of the project, and batches do not
// wait for each other.
type Sender struct {
	cfg       Config
	projects  []*project // the first one is that of the config
	watchDone chan struct{}

	mu           sync.Mutex
	nextProject  int // index of the project that is asked first for the next message
	pool         pool
	credentials  accessToken
	groups       map[<-chan struct{}]*contextGroup
	workers      []*worker
	idleWorkers  []*worker
	inFlight     int
	timer        *time.Timer
	timerAt      time.Time // zero: the timer is not set
	closed       bool
	noneInFlight sync.Cond // signals that the number of requests in flight may be 0
}

// New makes a sender and begins to connect. It is no error if FCM is out of reach:
// messages are answered Waiting then. Errors are a faulty Config and missing
// credentials.
func New(ctx context.Context, c Config) (*Sender, error) {
	c = c.withDefaults()
	t, err := c.parseEndpoint()
	if err != nil {
		return nil, err
	}

	k, err := newAccessToken(ctx, c, t)
	if err != nil {
		return nil, err
	}

	now := time.Now()
	projects, err := newProjects(c, t, now)
	if err != nil {
		return nil, err
	}

	s := &Sender{cfg: c, projects: projects, watchDone: make(chan struct{}), credentials: k, groups: map[<-chan struct{}]*contextGroup{},
		pool: pool{dialer: c.newTransport(t), scheme: t.url.Scheme, address: t.address, wanted: c.Connections, least: c.Connections, most: c.MaxConnections}}
	s.noneInFlight.L = &s.mu
	s.timer = time.AfterFunc(time.Hour, s.onTimer)
	s.timer.Stop()
	s.mu.Lock()
	s.tokenUsableLocked(now)
	s.dialIfDueLocked(now)
	s.mu.Unlock()
	go s.watchOverdue()
	return s, nil
}

// Send sends an item as soon as connections and the quota of its project allow;
// mailings take turns, and so do projects. It
// never blocks. answered is called exactly once, from a goroutine of the sender, and
// must return quickly. When ctx ends, an item that is not under way is answered
// Waiting at once, and one that is after Config.Grace at the latest.
func (s *Sender) Send(ctx context.Context, it Item, answered func(Answer)) {
	s.sendJob(&job{Item: it, ctx: ctx, giveAnswer: answered, mailing: it.Message.mailing, retryIndex: -1})
}

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
	p := j.project
	var out answers
	s.mu.Lock()
	s.joinGroupLocked(j)
	switch until := p.scheduler.limiter.heldUntil(); {
	case s.closed:
		out.add(s.giveUpLocked(j, now, now, "the sender is closed"))
	case j.ctx.Err() != nil:
		out.add(s.giveUpLocked(j, now, now, "its time ended"))
	case j.isOver(now), until.After(now) && (j.singleAttempt || j.isOver(p.scheduler.limiter.earliestSend())):
		if until.After(now) {
			j.lastAnswer.HTTP = p.holdStatus
		}
		out.add(s.giveUpLocked(j, now, until, p.waitReason(now)))
	default:
		p.scheduler.queue.pushBack(j)
	}

	more := p.scheduler.queue.length == 1 // if the queue had jobs already, a run of schedule is due anyway
	s.mu.Unlock()
	if out != nil {
		go out.giveAll()
	}
	if more {
		s.startReadyJobs()
	}
}

// deadlineOf returns the time after which the job may not be sent.
func (s *Sender) deadlineOf(j *job, now time.Time) (at time.Time) {
	if !j.Until.IsZero() {
		at = now.Add(j.Until.Sub(s.cfg.Now()))
	}
	if d, ok := j.ctx.Deadline(); ok && (at.IsZero() || d.Before(at)) {
		at = d
	}
	return at
}

// Stats has the figures of a sender.
type Stats struct {
	Connections int           // open connections that accept requests
	Dialled     int           // connections opened since the start
	InFlight    int           // requests
	Ready       int           // items that are ready and wait for their turn
	Waiting     int           // items that wait for a retry
	Rate        float64       // messages a second that the limiter allows
	P95         time.Duration // 95th percentile of the recent latency; 0: not known yet
}

// Stats returns the figures of the sender, all projects together.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Stats{Connections: s.pool.countUsable(), Dialled: s.pool.dialled, InFlight: s.inFlight, Rate: s.rateLocked(), P95: s.pool.latency.p95}
	for _, p := range s.projects {
		out.Ready += p.scheduler.queue.length
		out.Waiting += len(p.scheduler.retries)
	}
	return out
}

// Close answers everything that is not under way with Waiting, gives the rest
// Config.Grace, and closes the connections.
func (s *Sender) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}

	s.closed = true
	now := time.Now()
	var out answers
	for _, c := range s.groups {
		for j, w := range c.jobs {
			if w != nil {
				w.shortenLocked(now.Add(s.cfg.Grace))
				continue
			}
			out.add(s.giveUpLocked(j, now, now, "the sender is closed"))
		}
	}

	for s.inFlight > 0 {
		s.mu.Unlock()
		out.giveAll()
		out = nil
		s.mu.Lock()
		if s.inFlight > 0 {
			s.noneInFlight.Wait()
		}
	}

	for _, c := range s.pool.conns {
		c.cc.Close()
	}
	for _, w := range s.idleWorkers {
		close(w.work)
	}

	s.timer.Stop()
	close(s.watchDone)
	s.mu.Unlock()
	out.giveAll()
}

// watchOverdue handles what no event triggers: overdue requests, dead connections, queued
// items whose time is over, the share of the quota.
func (s *Sender) watchOverdue() {
	every := min(max(s.cfg.Timeout/20, 5*time.Millisecond), 250*time.Millisecond)
	t := time.NewTicker(every)
	defer t.Stop()
	fitted := time.Now()
	for {
		select {
		case <-s.watchDone:
			return
		case <-t.C:
		}
		s.mu.Lock()
		now := time.Now()
		for _, w := range s.workers {
			w.cancelOverdueLocked(now)
		}
		if now.Sub(fitted) >= 250*time.Millisecond {
			fitted = now
			s.pool.setWanted(s.rateLocked())
		}
		s.pool.removeClosed()
		s.dialIfDueLocked(now)
		s.tokenUsableLocked(now) // replaces the credentials in time
		s.startExchangesLocked(now)
		out := s.answerOverdueLocked(now)
		s.mu.Unlock()
		out.giveAll()
		s.startReadyJobs()
	}
}
