package fcm

import (
	"context"
	"math"
	"net/http"
	"time"
)

// maxStreams is how many requests one connection carries at most; FCM allows no more.
const maxStreams = 100

// A conn is one connection to FCM. Sender.mu guards it.
type conn struct {
	cc            *http.ClientConn
	limit         int       // requests at a time; see firstLimit
	limitKnown    bool      // the server's limit was read
	born          time.Time // when it was opened
	inFlight      int       // requests under way
	answered      int       // responses so far
	closing       bool      // it accepts no more requests: GOAWAY or an error
	refusingSince time.Time // since when it takes none though it should; zero: it does
	refusedAt     time.Time // when it refused the last time
}

// firstLimit is how many requests a connection carries until the settings of the
// server have arrived: net/http blocks when more are reserved than the server then
// allows. They have arrived with the first answer, or after settleTime.
const (
	firstLimit = 1
	settleTime = 250 * time.Millisecond
)

// learnLimit reads the limit from the settings of the server once they have arrived.
func (c *conn) learnLimit(now time.Time) {
	if !c.limitKnown && (c.answered > 0 || now.Sub(c.born) > settleTime) {
		c.limitKnown = true
		c.limit = max(firstLimit, min(maxStreams, c.cc.Available()+c.cc.InFlight()))
	}
}

// A pool has the connections to FCM. Sender.mu guards it. Connections are opened one after
// the other: if each request that finds the pool full opened one, there would be far more
// handshakes than connections that are needed.
type pool struct {
	dialer   *http.Transport
	scheme   string
	address  string
	conns    []*conn
	wanted   int // how many there should be
	least    int
	most     int
	dialling bool      // a connection is being opened
	dialled  int       // connections opened so far
	failures int       // dials in a row without any answer
	notUntil time.Time // no dial before it
	full     bool      // since the last call of setWanted all connections were full at some time
	latency  latencies
}

// reserveConn reserves a place on the connection with the fewest requests. It returns nil if
// all are full; soon is true if a place is about to be released, so that a retry will
// succeed shortly.
func (p *pool) reserveConn(now time.Time) (best *conn, soon bool) {
	for _, c := range p.conns {
		c.learnLimit(now)
	}

	// A connection that has refused at this time is not asked again, so that each round asks
	// another one.
	for range len(p.conns) {
		best = nil
		for _, c := range p.conns {
			if !c.closing && c.inFlight < c.limit && !c.refusedAt.Equal(now) && (best == nil || c.inFlight < best.inFlight) {
				best = c
			}
		}
		if best == nil {
			break
		}
		if best.reserveStream(now) {
			return best, soon
		}
		soon = true
	}

	p.full = p.full || !soon
	return nil, soon
}

// reserveStream takes a place on c. HTTP/2 releases a place a moment after the answer was
// read, so a full connection may refuse although a place is free. A connection that
// keeps refusing was closed by the server (GOAWAY).
func (c *conn) reserveStream(now time.Time) bool {
	if c.cc.Reserve() == nil {
		c.inFlight++
		c.refusingSince = time.Time{}
		return true
	}

	c.refusedAt = now
	if c.inFlight == 0 || c.cc.Err() != nil || !c.refusingSince.IsZero() && now.Sub(c.refusingSince) > refusingTime {
		c.closing = true
		return false
	}
	if c.refusingSince.IsZero() {
		c.refusingSince = now
	}
	return false
}

// refusingTime is how long a connection may refuse although a place should be free.
const refusingTime = 50 * time.Millisecond

// countUsable counts the connections that accept requests.
func (p *pool) countUsable() (n int) {
	for _, c := range p.conns {
		if !c.closing {
			n++
		}
	}
	return n
}

// removeClosed removes connections that are closing and empty.
func (p *pool) removeClosed() {
	kept := p.conns[:0]
	for _, c := range p.conns {
		if c.cc.Err() != nil {
			c.closing = true
		}
		if c.closing && c.inFlight == 0 {
			c.cc.Close()
			continue
		}
		kept = append(kept, c)
	}

	clear(p.conns[len(kept):])
	p.conns = kept
}

// setWanted sets how many connections there should be: as many as rate and latency need,
// and one more if all stay full. Growing latency needs more connections, up to most,
// and not a higher rate.
func (p *pool) setWanted(rate float64) {
	p.latency.computeP95()
	if !p.full {
		if p.latency.total == 0 {
			p.wanted = p.least
		}
		return
	}
	p.full = false
	need := int(math.Ceil(min(rate*p.latency.p95.Seconds()/maxStreams, 1e6)))
	p.wanted = min(max(p.wanted, need, p.countUsable()+1), p.most)
}

// dialIfDueLocked opens a connection if one is due.
func (s *Sender) dialIfDueLocked(now time.Time) {
	p := &s.pool
	if s.closed || p.dialling || p.countUsable() >= p.wanted || now.Before(p.notUntil) {
		return
	}
	p.dialling = true
	go s.dialConn()
}

// dialConn opens a connection, and looks for jobs that it can carry.
func (s *Sender) dialConn() {
	p := &s.pool
	ctx, cancel := context.WithTimeout(context.Background(), 2*dialTimeout)
	cc, err := p.dialer.NewClientConn(ctx, p.scheme, p.address)
	cancel()

	// The lock guards the pool. It is not held while the connection is opened: that takes
	// up to 20 seconds.
	s.mu.Lock()
	now := time.Now()
	p.dialling = false
	var out deferredAnswers
	switch {
	case err != nil:
		out = s.unreachableLocked(now, err.Error())
	case s.closed:
		cc.Close() // Close did not see it
	default:
		p.dialled++
		p.conns = append(p.conns, &conn{cc: cc, limit: firstLimit, born: now})
		s.dialIfDueLocked(now)
	}

	s.mu.Unlock()
	out.giveAll()
	s.startReadyJobs()
}

// unreachableLocked records a dial that failed, or a connection that ended before any
// answer. Without any connection all jobs wait.
func (s *Sender) unreachableLocked(now time.Time, why string) (out deferredAnswers) {
	p := &s.pool
	p.failures++
	wait := min(time.Second<<min(p.failures-1, 6), time.Minute)
	p.notUntil = now.Add(wait)
	if p.countUsable() == 0 {
		out = s.holdLocked(now, p.notUntil, "FCM is out of reach: "+why)
	}
	return out
}

// latencies is a histogram of recent latencies. The upper limit of each bucket is 2^(1/8) times
// that of the bucket before it. The counts are halved each time the percentile is computed, so
// that old latencies count less and less.
type latencies struct {
	buckets [160]float64  // counts of latencies; the first ends at 0.11 ms
	total   float64       // the sum of buckets
	p95     time.Duration // the 95th percentile; 0: not known yet
}

// addLatency counts one latency.
func (l *latencies) addLatency(d time.Duration) {
	i := int(8 * math.Log2(max(d.Seconds()*1e4, 1))) // from 0.1 ms
	l.buckets[min(i, len(l.buckets)-1)]++
	l.total++
}

// minLatencies is how many latencies a percentile needs at least.
const minLatencies = 20

// computeP95 computes the percentile, unless there are too few latencies, and halves all
// counts.
func (l *latencies) computeP95() {
	if l.total >= minLatencies {
		sum := 0.0
		for i, n := range l.buckets {
			if sum += n; sum >= 0.95*l.total {
				l.p95 = time.Duration(math.Exp2(float64(i+1)/8) * 1e5)
				break
			}
		}
	}

	l.total = 0
	for i := range l.buckets {
		if l.buckets[i] /= 2; l.buckets[i] < 0.5 {
			l.buckets[i] = 0
		}
		l.total += l.buckets[i]
	}
}
