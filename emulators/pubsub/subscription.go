package pubsub

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
)

// A subscription owes messages to somebody. Each of them is an entry, which is
// in one place at a time: ready to go, leased to a puller, on its way to an
// endpoint (in the hands of a worker), waiting for its time, or behind another
// one of its ordering key.
type subscription struct {
	s    *Server
	name string

	mu       sync.Mutex
	conf     *pb.Subscription // replaced, never changed
	endpoint *endpoint        // nil: pull
	ready    fifo
	leased   map[uint64]*entry
	waiting  byDue // leases too, for their end
	timer    *time.Timer
	keys     map[string][]*entry // of a key on its way: those behind it
	n        int                 // entries in all
	lease    uint64              // the last one given
	hands    map[*entry]bool     // of workers, or on its way to the dead letters
	workers  int
	bell     chan struct{} // closed when a puller may find something; nil when none waits
	rand     *rand.Rand
	closed   bool
}

// An entry is one message owed by one subscription.
type entry struct {
	msg     *pb.PubsubMessage
	attempt int           // deliveries begun
	waited  time.Duration // the last back-off
	delay   time.Duration // before the first delivery
	twin    bool          // a needless duplicate: delivered once, whatever the answer
	lease   uint64        // 0 when no puller has it
	owner   *stream       // that has it, if any
	dropped bool          // owed no more
	due     time.Time     // end of the lease or of the wait
	at      int           // in waiting; -1 when not there
}

func newSubscription(s *Server, c *pb.Subscription) (*subscription, error) {
	e, err := newEndpoint(c)
	if err != nil {
		return nil, err
	}
	return &subscription{s: s, name: c.GetName(), conf: c, endpoint: e, leased: map[uint64]*entry{},
		hands: map[*entry]bool{}, keys: map[string][]*entry{}, rand: chance(s.chaos.Load().Seed, c.GetName())}, nil
}

func (b *subscription) config() *pb.Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conf
}

// change replaces the configuration in what needs no check.
func (b *subscription) change(f func(*pb.Subscription)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := proto.CloneOf(b.conf)
	f(c)
	b.conf = c
}

// configure replaces the configuration; what is ready goes the new way.
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
	if b.endpoint != nil {
		b.s.owed.add(b.n)
	}

	b.wake()
	b.ring() // streams of what is no pull subscription any more end
	return nil
}

// close forgets everything.
func (b *subscription) close() {
	b.drop(func(*entry) bool { return true })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.ring()
}

func (b *subscription) count(n int) {
	b.n += n
	if b.endpoint != nil {
		b.s.owed.add(n)
	}
}

// enqueue takes messages in.
func (b *subscription) enqueue(msgs []*pb.PubsubMessage) {
	c := b.s.chaos.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.conf.GetDetached() {
		return
	}
	for _, m := range msgs {
		b.add(&entry{msg: m, at: -1, delay: b.delay(c)})
		if b.twice(c) {
			b.add(&entry{msg: m, at: -1, delay: b.delay(c), twin: true})
		}
	}
	b.wake()
}

func (b *subscription) add(e *entry) {
	b.count(1)
	if key := b.key(e); key != "" {
		if behind, busy := b.keys[key]; busy {
			b.keys[key] = append(behind, e)
			return
		}
		b.keys[key] = nil
	}
	b.begin(e)
}

func (b *subscription) key(e *entry) string {
	if b.conf.GetEnableMessageOrdering() {
		return e.msg.GetOrderingKey()
	}
	return ""
}

func (b *subscription) begin(e *entry) {
	if e.delay > 0 {
		b.schedule(e, e.delay)
		return
	}
	b.ready.push(e)
}

// next takes the entry whose turn it is; nil when none is ready.
func (b *subscription) next() *entry {
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
			return e
		}
		b.advance(e)
	}
}

// done settles an entry.
func (b *subscription) done(e *entry) {
	if !e.dropped {
		b.count(-1)
	}
	b.advance(e)
}

// advance lets the next entry of a settled one's key go.
func (b *subscription) advance(e *entry) {
	key := b.key(e)
	if key == "" {
		return
	}
	behind := b.keys[key]
	if len(behind) == 0 {
		delete(b.keys, key)
		return
	}
	b.keys[key] = behind[1:]
	b.begin(behind[0])
}

// again lets an entry that was not acknowledged wait for its next attempt.
func (b *subscription) again(e *entry) {
	if e.dropped || e.twin {
		b.done(e)
		return
	}
	e.waited = backOff(b.conf, e.waited)
	if d := time.Duration(float64(e.waited) * b.s.opt.TimeScale); d > 0 {
		b.schedule(e, d)
		return
	}
	b.ready.push(e)
}

// schedule sets when an entry is due.
func (b *subscription) schedule(e *entry, d time.Duration) {
	e.due = time.Now().Add(d)
	if e.at >= 0 {
		heap.Fix(&b.waiting, e.at)
	} else {
		heap.Push(&b.waiting, e)
	}
	b.arm()
}

// arm sets the timer to what is due first.
func (b *subscription) arm() {
	if len(b.waiting) == 0 || b.closed {
		return
	}
	d := max(0, time.Until(b.waiting[0].due))
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.fire)
		return
	}
	b.timer.Reset(d)
}

// fire makes ready what is due and takes leases back that have run out.
func (b *subscription) fire() {
	b.mu.Lock()
	var dead []*entry
	for now := time.Now(); len(b.waiting) > 0 && !b.waiting[0].due.After(now); {
		e := heap.Pop(&b.waiting).(*entry)
		switch {
		case e.lease == 0:
			b.ready.push(e)
		case b.release(e):
			dead = append(dead, e)
		}
	}

	b.arm()
	b.wake()
	b.mu.Unlock()
	b.buryAll(dead)
}
