package pubsub

import (
	"container/heap"
	"strconv"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pullBytes is the most bytes of one answer to a pull; the first message is always sent.
const pullBytes = 10_000_000

// pull leases ready messages to st, or to a unary pull if st is nil. If there are none, the
// returned channel is closed when the caller should try again.
func (b *subscription) pull(most int, st *stream) (msgs []*pb.ReceivedMessage, bell <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.pullable(); err != nil {
		return nil, nil, err
	}

	bytes := 0
	for len(msgs) < min(most, 1000) && bytes < pullBytes && st.room() {
		e := b.next()
		if e == nil {
			break
		}
		bytes += billed(e.msg)
		msgs = append(msgs, b.give(e, st))
	}
	if len(msgs) > 0 {
		b.s.usage.handedOut(len(msgs), bytes)
		return msgs, nil, nil
	}
	if b.bell == nil {
		b.bell = make(chan struct{})
	}

	return nil, b.bell, nil
}

func (b *subscription) pullable() error {
	switch {
	case b.closed:
		return notFound(b.name)
	case b.conf.GetDetached():
		return status.Errorf(codes.FailedPrecondition, "Subscription is detached (resource=%s).", b.name)
	case b.endpoint != nil:
		return status.Error(codes.FailedPrecondition, "This method is not supported for this subscription type.")
	}
	return nil
}

// give leases an entry that next has returned.
func (b *subscription) give(e *entry, st *stream) *pb.ReceivedMessage {
	b.lease++
	e.lease = b.lease
	b.leased[e.lease] = e
	deadline := time.Duration(b.conf.GetAckDeadlineSeconds()) * time.Second
	if st != nil {
		e.owner, deadline = st, st.deadline
		st.holds(e, 1)
	}

	b.schedule(e, b.scaled(deadline))
	m := &pb.ReceivedMessage{AckId: strconv.FormatUint(e.lease, 36), Message: e.msg}
	if b.conf.GetDeadLetterPolicy() != nil {
		m.DeliveryAttempt = int32(e.attempt)
	}
	return m
}

func (b *subscription) scaled(deadline time.Duration) time.Duration {
	return time.Duration(float64(deadline) * b.s.opt.DeadlineScale)
}

// end ends the lease of an entry.
func (b *subscription) end(e *entry) {
	delete(b.leased, e.lease)
	e.lease = 0
	if e.owner != nil {
		e.owner.holds(e, -1)
		e.owner = nil
	}
	if e.at >= 0 {
		heap.Remove(&b.waiting, e.at)
	}
}

// acknowledge settles leased messages. Leases that have ended are ignored.
func (b *subscription) acknowledge(leases []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range leases {
		if e := b.leased[id]; e != nil {
			b.end(e)
			b.done(e)
		}
	}
	b.wake()
}

// extend sets the end of leases to d from now; zero is a nack.
func (b *subscription) extend(id uint64, d time.Duration) {
	b.mu.Lock()
	e := b.leased[id]
	if e != nil && d > 0 {
		b.schedule(e, b.scaled(d))
		e = nil
	}
	dead := e != nil && b.release(e)
	b.wake()
	b.mu.Unlock()
	if dead {
		b.buryAll([]*entry{e})
	}
}

// release ends a lease that was refused or has run out. It reports whether that was the
// last attempt; then the caller buries the entry.
func (b *subscription) release(e *entry) (dead bool) {
	b.end(e)
	if b.spent(e) {
		b.hands[e] = true
		return true
	}
	b.again(e)
	return false
}

// wake starts workers, or notifies pullers, if an entry is ready.
func (b *subscription) wake() {
	if b.endpoint != nil {
		b.hire()
	} else if b.ready.len() > 0 {
		b.ring()
	}
}

// ring notifies the pullers that wait.
func (b *subscription) ring() {
	if b.bell != nil {
		close(b.bell)
		b.bell = nil
	}
}

// held returns every entry of the subscription.
func (b *subscription) held() []*entry {
	out := b.ready.list()
	out = append(out, b.waiting...) // includes the leased ones
	for _, behind := range b.keys {
		out = append(out, behind...)
	}
	for e := range b.hands {
		out = append(out, e)
	}
	return out
}

// drop removes the entries that match. Entries in the queue are marked, and skipped when
// their turn comes. A push under way is finished and not repeated.
func (b *subscription) drop(match func(*entry) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.held() {
		if e.dropped || !match(e) {
			continue
		}
		e.dropped = true
		b.count(-1)
		if e.lease != 0 {
			b.end(e)
			b.advance(e)
		}
	}

	for range b.ready.len() {
		if e := b.ready.pop(); e.dropped {
			b.advance(e)
		} else {
			b.ready.push(e)
		}
	}

	b.wake()
}
