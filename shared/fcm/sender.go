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
	projects  []*project    // the first one is that of the config
	watchDone chan struct{} // closed when watchOverdue has to end

	// mu guards all fields below, the schedulers in projects, and the jobs.
	mu           sync.Mutex
	nextProject  int // index of the project that is asked first for the next message
	pool         pool
	credentials  accessToken
	groups       map[<-chan struct{}]*contextGroup // the jobs that are not answered yet, by Done of their contexts
	workers      []*worker                         // all of them
	idleWorkers  []*worker
	inFlight     int         // requests of all connections
	timer        *time.Timer // calls startReadyJobs when a retry or the rate becomes due
	timerAt      time.Time   // zero: the timer is not set
	closed       bool
	noneInFlight sync.Cond // signals that the number of requests in flight may be 0
}

// New makes a sender and begins to connect. If FCM is out of reach, New succeeds, and
// messages are answered Waiting. Its errors are a faulty Config and missing credentials.
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
	s.timer.Stop() // it is not due before setTimerLocked sets it

	// Both start goroutines that use the sender: they wait for the lock.
	s.mu.Lock()
	s.ensureAccessTokenLocked(now)
	s.dialIfDueLocked(now)
	s.mu.Unlock()

	go s.watchOverdue()
	return s, nil
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

// Close answers every item that is not under way with Waiting. It waits up to Config.Grace
// for the requests under way, and closes the connections. Another call returns at once.
func (s *Sender) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}

	s.closed = true
	now := time.Now()
	var out deferredAnswers
	for _, g := range s.groups {
		for j, w := range g.jobs {
			if w != nil {
				w.shortenLocked(now.Add(s.cfg.Grace))
				continue
			}
			out.add(s.answerWaitingLocked(j, now, now, "the sender is closed"))
		}
	}

	// completeAttempt needs the lock to end the requests under way, and an answer may call
	// Send. So the lock is released while answers are given. inFlight is read again after
	// that, because its last change may have been signalled in between.
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
