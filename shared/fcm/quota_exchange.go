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
	// ReadDemands reads the demands that the other senders stored within
	// push.DemandLife. Age is by the clock of the store.
	ReadDemands(ctx context.Context) ([]push.Demand, error)
	// DeleteDemand deletes what StoreDemand stored.
	DeleteDemand(ctx context.Context) error
}

// exchangeTimeout is the timeout of one exchange with the peers.
const exchangeTimeout = 5 * time.Second

// exchangeTimes has the times at which a limiter stored its demand and read those of the
// others.
type exchangeTimes struct {
	leaving bool      // the sender stops for good
	stored  time.Time // when the last attempt to store began
	asked   time.Time // when the last attempt to read, or to leave, began

	storeFailed, askFailed bool // the last attempt

	writes float64   // how many writes may be made now; it grows by one each storeEvery
	at     time.Time // when writes was computed
}

const (
	// maxWrites is how many writes may be made at once after a quiet time.
	maxWrites = 2
	// changeShare is by how much of the quota a demand must change to be stored
	// before its time.
	changeShare = 0.2
)

// mayStore reports whether a demand may be stored now: its time has come, or it has
// changed a lot.
func (x *exchangeTimes) mayStore(now time.Time, changed bool) bool {
	if x.at.IsZero() {
		x.writes = maxWrites
	} else {
		x.writes = min(maxWrites, x.writes+now.Sub(x.at).Seconds()/storeEvery.Seconds())
	}
	x.at = now
	since := now.Sub(x.stored)
	return since >= pauseAfter(storeEvery, x.storeFailed) || changed && since >= retryEvery && x.writes >= 1
}

// An exchangeStep is what is to be exchanged now.
type exchangeStep struct {
	store, read, leave bool
	demand             push.Demand // to be stored
}

// isEmpty reports whether nothing is to be exchanged.
func (t exchangeStep) isEmpty() bool { return !t.store && !t.read && !t.leave }

// exchangeDue returns what is to be exchanged with the peers now, and records that it
// begins.
func (l *limiter) exchangeDue(now time.Time) (t exchangeStep) {
	x := &l.exchange
	listed := !l.share.sentAt.IsZero()
	resting := l.usage.last.IsZero() || now.Sub(l.usage.last) > leaveAfter && now.After(l.heldUntil())
	switch {
	case l.share.unconnected:
		return exchangeStep{}
	case x.leaving || resting:
		t.leave = listed && now.Sub(x.asked) >= retryEvery
		if t.leave {
			x.asked = now
		}
		return t
	}

	if !l.heldUntil().After(now) {
		l.adaptRate(now)
	}

	changed := math.Abs(l.usage.wanted-l.share.mine.Rate) > changeShare*l.share.full
	t.store = (listed || l.usage.wanted > 0) && x.mayStore(now, changed)
	t.read = t.store || now.Sub(x.asked) >= pauseAfter(readEvery, x.askFailed)
	t.demand = push.Demand{Rate: l.usage.wanted, Known: min(l.share.knownRate(now), l.usage.wanted), Ramp: l.ramp}
	if t.store {
		x.stored = now
		x.writes--
	}
	if t.read {
		x.asked = now
	}
	return t
}

// pauseAfter returns the pause before the next store or read, which is shorter if the last
// one failed.
func pauseAfter(usual time.Duration, failed bool) time.Duration {
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

// recordExchange records the result of a step that began then.
func (l *limiter) recordExchange(t exchangeStep, h exchangeResult, began, now time.Time) {
	x := &l.exchange
	x.askFailed = h.err != nil
	switch {
	case t.leave && h.stored:
		l.share.recordDeleted()
	case t.store && h.stored:
		l.share.recordStored(t.demand, began, now)
		x.storeFailed = false
	case t.store:
		x.storeFailed = true
	}

	l.fillBucket(now)
	if t.read && h.err == nil {
		l.share.recordOthers(h.others, began)
		l.ramp = max(l.ramp, l.share.highestRamp())
	}

	l.refreshShare(now)
}

// stopExchange ends the part of this sender in the quota.
func (l *limiter) stopExchange() { l.exchange.leaving = true }

// startExchangesLocked starts the exchanges with the peers that are due.
func (s *Sender) startExchangesLocked(now time.Time) {
	for _, p := range s.projects {
		if p.exchanging || s.closed {
			continue
		}
		if t := p.scheduler.limiter.exchangeDue(now); !t.isEmpty() {
			p.exchanging = true
			go s.runExchange(p, t, now)
		}
	}
}

func (s *Sender) runExchange(p *project, t exchangeStep, began time.Time) {
	h := t.runWith(p.peers)
	s.mu.Lock()
	p.exchanging = false
	p.scheduler.limiter.recordExchange(t, h, began, time.Now())
	s.mu.Unlock()
	s.startReadyJobs()
}

func (t exchangeStep) runWith(p Peers) (h exchangeResult) {
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	switch {
	case t.leave:
		h.err = p.DeleteDemand(ctx)
	case t.store:
		h.err = p.StoreDemand(ctx, t.demand)
	}

	h.stored = (t.leave || t.store) && h.err == nil
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
		p.scheduler.limiter.stopExchange()
	}
	s.startExchangesLocked(time.Now())
}
