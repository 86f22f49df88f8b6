package pubsub

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
)

// A subscription has the messages that are not settled. Each of them is an entry, which is
// in one place at a time: ready, leased to a puller, being pushed by a worker, waiting for
// its time, or queued behind another one of its ordering key.
type subscription struct {
	s    *Server
	name string

	mu       sync.Mutex       // guards the fields below, and the entries
	conf     *pb.Subscription // replaced as a whole and never changed
	endpoint *endpoint        // nil: pull
	ready    fifo
	leased   map[uint64]*entry
	waiting  byDue // also leases, until their end
	timer    *time.Timer
	keys     map[string][]*entry // by ordering key under way: the entries queued behind it
	n        int                 // number of all entries
	lease    uint64              // the number of the last lease
	hands    map[*entry]bool     // entries that a worker pushes, or that are being buried
	workers  int
	bell     chan struct{} // closed when an entry may be ready; nil if no puller waits
	rand     *rand.Rand
	closed   bool // deleted
	stopped  bool // nothing is delivered any more
}

// An entry is one message of one subscription that is not settled.
type entry struct {
	msg     *pb.PubsubMessage
	attempt int           // number of deliveries so far
	waited  time.Duration // the last back-off
	delay   time.Duration // before the first delivery
	twin    bool          // an unnecessary duplicate: it is delivered once, whatever the answer is
	lease   uint64        // 0: no puller has it
	owner   *stream       // the stream that has it; nil: none
	dropped bool          // to be skipped
	due     time.Time     // end of the lease or of the wait
	at      int           // index in waiting; -1: it is not there
}

func newSubscription(s *Server, c *pb.Subscription) (*subscription, error) {
	e, err := newEndpoint(c)
	if err != nil {
		return nil, err
	}
	// Leases do not begin at 1: a client may have an ack id of a process that was killed, and it
	// must not acknowledge another message here.
	first := uint64(time.Now().UnixMicro())
	return &subscription{s: s, name: c.GetName(), conf: c, endpoint: e, leased: map[uint64]*entry{}, lease: first,
		hands: map[*entry]bool{}, keys: map[string][]*entry{}, rand: newRandom(s.chaos.Load().Seed, c.GetName())}, nil
}

func (b *subscription) config() *pb.Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conf
}

// updateConfig replaces fields of the configuration that need no check.
func (b *subscription) updateConfig(f func(*pb.Subscription)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := proto.CloneOf(b.conf)
	f(c)
	b.conf = c
	b.s.changes.Add(1)
}

// configure replaces the configuration. Ready messages are delivered by the new one.
func (b *subscription) configure(c *pb.Subscription) error {
	e, err := newEndpoint(c)
	if err != nil {
		return err
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endpoint != nil {
		b.s.owed.add(-b.n)
	}

	b.conf, b.endpoint = c, e
	b.s.changes.Add(1)
	if b.endpoint != nil {
		b.s.owed.add(b.n)
	}

	b.wakeLocked()
	b.notifyPullersLocked() // ends the streams of a subscription that was changed to push
	return nil
}

// close takes no more messages, delivers nothing any more, and drops all messages.
func (b *subscription) close() {
	b.mu.Lock()
	b.closed = true // first, so that no message comes behind the others, and pulls end with it
	b.mu.Unlock()

	b.stop()
	b.dropAll()
}

func (b *subscription) dropAll() { b.dropMatching(func(*entry) bool { return true }) }

// stop stops the timer, ends the pulls, and lets no worker start. The messages stay, and a dead
// letter that is being published is still taken.
func (b *subscription) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.notifyPullersLocked()
}

// addCountLocked changes the number of entries, and the backlog of the server if they
// are pushed.
func (b *subscription) addCountLocked(n int) {
	b.n += n
	b.s.changes.Add(1)
	if b.endpoint != nil {
		b.s.owed.add(n)
	}
}

// enqueue adds published messages.
func (b *subscription) enqueue(msgs []*pb.PubsubMessage) {
	c := b.s.chaos.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.conf.GetDetached() {
		return
	}

	for _, m := range msgs {
		b.addEntryLocked(&entry{msg: m, at: -1, delay: b.chaosDelayLocked(c)})
		if b.chaosDuplicateLocked(c) {
			b.addEntryLocked(&entry{msg: m, at: -1, delay: b.chaosDelayLocked(c), twin: true})
		}
	}

	b.wakeLocked()
}

// addEntryLocked adds an entry, or queues it behind the entry of its ordering key that
// is under way.
func (b *subscription) addEntryLocked(e *entry) {
	b.addCountLocked(1)
	if !b.queueBehindLocked(e) {
		b.startEntryLocked(e)
	}
}

// queueBehindLocked queues an entry behind the entry of its ordering key that is under way. If
// there is none, it returns false, and e is the one under way from now on.
func (b *subscription) queueBehindLocked(e *entry) bool {
	key := b.orderingKeyLocked(e)
	if key == "" {
		return false
	}
	behind, busy := b.keys[key]
	if busy {
		behind = append(behind, e)
	}
	b.keys[key] = behind
	return busy
}

func (b *subscription) orderingKeyLocked(e *entry) string {
	if b.conf.GetEnableMessageOrdering() {
		return e.msg.GetOrderingKey()
	}
	return ""
}

func (b *subscription) startEntryLocked(e *entry) {
	if e.delay > 0 {
		b.scheduleLocked(e, e.delay)
		return
	}
	b.ready.push(e)
}

// takeReadyLocked removes and returns the next ready entry, nil if there is none.
func (b *subscription) takeReadyLocked() *entry {
	for {
		if b.s.chaos.Load().Reorder && b.ready.len() > 1 {
			b.ready.swapFirst(b.rand.IntN(b.ready.len()))
		}
		e := b.ready.pop()
		if e == nil {
			return nil
		}
		if !e.dropped {
			e.attempt++
			b.s.changes.Add(1)
			return e
		}
		b.startNextOfKeyLocked(e)
	}
}

// removeSettledLocked removes a settled entry.
func (b *subscription) removeSettledLocked(e *entry) {
	if !e.dropped {
		b.addCountLocked(-1)
	}
	b.startNextOfKeyLocked(e)
}

// startNextOfKeyLocked starts the next entry of the ordering key of a settled one.
func (b *subscription) startNextOfKeyLocked(e *entry) {
	key := b.orderingKeyLocked(e)
	if key == "" {
		return
	}
	behind := b.keys[key]
	if len(behind) == 0 {
		delete(b.keys, key)
		return
	}
	b.keys[key] = behind[1:]
	b.startEntryLocked(behind[0])
}

// scheduleRetryLocked schedules the next attempt of an entry that was not acknowledged.
func (b *subscription) scheduleRetryLocked(e *entry) {
	if e.dropped || e.twin {
		b.removeSettledLocked(e)
		return
	}
	e.waited = backOff(b.conf, e.waited)
	if d := time.Duration(float64(e.waited) * b.s.opt.TimeScale); d > 0 {
		b.scheduleLocked(e, d)
		return
	}
	b.ready.push(e)
}

// scheduleLocked makes an entry due after d.
func (b *subscription) scheduleLocked(e *entry, d time.Duration) {
	e.due = time.Now().Add(d)
	b.s.changes.Add(1)
	if e.at >= 0 {
		heap.Fix(&b.waiting, e.at)
	} else {
		heap.Push(&b.waiting, e)
	}
	b.setTimerLocked()
}

// setTimerLocked sets the timer to the entry that is due first.
func (b *subscription) setTimerLocked() {
	if len(b.waiting) == 0 || b.stopped {
		return
	}
	d := max(0, time.Until(b.waiting[0].due))
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.handleDue)
		return
	}
	b.timer.Reset(d)
}

// handleDue makes due entries ready and ends leases that have run out. The timer calls
// it. It publishes dead letters only after it has released the lock.
func (b *subscription) handleDue() {
	b.mu.Lock()
	var dead []*entry
	for now := time.Now(); len(b.waiting) > 0 && !b.waiting[0].due.After(now); {
		e := heap.Pop(&b.waiting).(*entry)
		switch {
		case e.lease == 0:
			b.ready.push(e)
		case b.releaseLocked(e):
			dead = append(dead, e)
		}
	}

	b.setTimerLocked()
	b.wakeLocked()
	b.mu.Unlock()
	b.publishDeadLetters(dead)
}
