package fcm

import (
	"context"
	"math"
	"time"

	"carillon.example/shared/push"
)

// Peers connects the senders of a project, so that together they send as fast as its
// quota allows and not faster.
type Peers interface {
	// StoreDemand stores what this sender needs, and replaces what it stored before. It
	// is called less than once in ten seconds, and not while nothing is sent.
	StoreDemand(ctx context.Context, d push.Demand) error
	// ReadDemands reads what the other senders need that have announced it within
	// push.DemandLife. Age is by the clock of the store.
	ReadDemands(ctx context.Context) ([]push.Demand, error)
	// DeleteDemand deletes what StoreDemand stored.
	DeleteDemand(ctx context.Context) error
}

// exchangeTimeout is the timeout of one exchange with the peers.
const exchangeTimeout = 5 * time.Second

// An exchange has the times at which a limiter announced its demand and read the
// others.
type exchange struct {
	leaving bool      // the sender stops for good
	stored  time.Time // when the last attempt to store began
	asked   time.Time // when the last attempt to read, or to leave, began

	storeFailed, askFailed bool // the last attempt

	writes float64   // that may be made now; one more comes each announceEvery
	at     time.Time // when writes was computed
}

const (
	// maxWrites is how many writes may be made at once after a quiet time.
	maxWrites = 2
	// changeShare is by how much of the quota a demand must change to be announced
	// before its time.
	changeShare = 0.2
)

// mayStore reports whether a demand may be stored now: its time has come, or it has
// changed a lot.
func (x *exchange) mayStore(now time.Time, changed bool) bool {
	if x.at.IsZero() {
		x.writes = maxWrites
	} else {
		x.writes = min(maxWrites, x.writes+now.Sub(x.at).Seconds()/announceEvery.Seconds())
	}
	x.at = now
	since := now.Sub(x.stored)
	return since >= pause(announceEvery, x.storeFailed) || changed && since >= retryEvery && x.writes >= 1
}

// An exchangeStep is what is to be exchanged now.
type exchangeStep struct {
	announce, read, leave bool
	demand                push.Demand // to be announced
}

func (t exchangeStep) idle() bool { return !t.announce && !t.read && !t.leave }

// exchangeDue returns what is to be exchanged with the peers now, and records that it
// begins.
func (l *limiter) exchangeDue(now time.Time) (t exchangeStep) {
	x := &l.exchange
	listed := !l.share.sentAt.IsZero()
	resting := l.use.last.IsZero() || now.Sub(l.use.last) > leaveAfter && now.After(l.heldUntil())
	switch {
	case l.share.alone:
		return exchangeStep{}
	case x.leaving || resting:
		t.leave = listed && now.Sub(x.asked) >= retryEvery
		if t.leave {
			x.asked = now
		}
		return t
	}

	if !l.heldUntil().After(now) {
		l.adapt(now)
	}
	changed := math.Abs(l.use.wanted-l.share.mine.Rate) > changeShare*l.share.full
	t.announce = (listed || l.use.wanted > 0) && x.mayStore(now, changed)
	t.read = t.announce || now.Sub(x.asked) >= pause(readEvery, x.askFailed)
	t.demand = push.Demand{Rate: l.use.wanted, Known: min(l.share.knownRate(now), l.use.wanted), Ramp: l.ramp}
	if t.announce {
		x.stored = now
		x.writes--
	}
	if t.read {
		x.asked = now
	}
	return t
}

func pause(usual time.Duration, failed bool) time.Duration {
	if failed {
		return retryEvery
	}
	return usual
}

// An exchangeResult is the result of a step.
type exchangeResult struct {
	others []push.Demand
	stored bool // the demand was stored or deleted
	err    error
}

// exchanged records the result of a step that began then.
func (l *limiter) exchanged(t exchangeStep, h exchangeResult, began, now time.Time) {
	x := &l.exchange
	x.askFailed = h.err != nil
	switch {
	case t.leave && h.stored:
		l.share.left()
	case t.announce && h.stored:
		l.share.announced(t.demand, began, now)
		x.storeFailed = false
	case t.announce:
		x.storeFailed = true
	}

	l.fill(now)
	if t.read && h.err == nil {
		l.share.read(h.others, began)
		l.ramp = max(l.ramp, l.share.ramp())
	}

	l.refresh(now)
}

// leave ends the part of this sender in the quota.
func (l *limiter) leave() { l.exchange.leaving = true }

// exchangeLocked starts the exchanges with the peers that are due.
func (s *Sender) exchangeLocked(now time.Time) {
	for _, p := range s.projects {
		if p.exchanging || s.closed {
			continue
		}
		if t := p.scheduler.limiter.exchangeDue(now); !t.idle() {
			p.exchanging = true
			go s.exchange(p, t, now)
		}
	}
}

func (s *Sender) exchange(p *project, t exchangeStep, began time.Time) {
	h := t.do(p.peers)
	s.mu.Lock()
	p.exchanging = false
	p.scheduler.limiter.exchanged(t, h, began, time.Now())
	s.mu.Unlock()
	s.schedule()
}

func (t exchangeStep) do(p Peers) (h exchangeResult) {
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	switch {
	case t.leave:
		h.err = p.DeleteDemand(ctx)
	case t.announce:
		h.err = p.StoreDemand(ctx, t.demand)
	}
	h.stored = (t.leave || t.announce) && h.err == nil
	if t.read && h.err == nil {
		h.others, h.err = p.ReadDemands(ctx)
	}
	return h
}

// ReleaseQuota gives up this sender's part of the quotas, because it is about to end: the
// others need not wait until they notice. What it still sends uses only what they
// leave.
func (s *Sender) ReleaseQuota() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.projects {
		p.scheduler.limiter.leave()
	}
	s.exchangeLocked(time.Now())
}
