package pubsub

import (
	"container/heap"
	"strconv"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pullBytes bounds one answer to a puller; the first message always fits.
const pullBytes = 10_000_000

// pull leases ready messages, to st or to a unary puller. Without any the bell
// is closed when it is worth asking again.
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

// give leases an entry that next took.
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

// end ends a lease.
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

// acknowledge settles leases; those that have ended are passed by.
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

// extend lets a lease end d from now; zero is a nack.
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

// release takes back a lease that was refused or has run out. It reports
// whether that was the last attempt: the caller buries the entry.
func (b *subscription) release(e *entry) (dead bool) {
	b.end(e)
	if b.spent(e) {
		b.hands[e] = true
		return true
	}
	b.again(e)
	return false
}

// wake sets to work whoever may find something ready.
func (b *subscription) wake() {
	if b.endpoint != nil {
		b.hire()
	} else if b.ready.len() > 0 {
		b.ring()
	}
}

// ring lets waiting pullers look again.
func (b *subscription) ring() {
	if b.bell != nil {
		close(b.bell)
		b.bell = nil
	}
}

// held is every entry, wherever it is.
func (b *subscription) held() []*entry {
	out := b.ready.list()
	out = append(out, b.waiting...) // the leased ones among them
	for _, behind := range b.keys {
		out = append(out, behind...)
	}
	for e := range b.hands {
		out = append(out, e)
	}
	return out
}

// drop forgets the entries that match. Those it cannot reach at once are marked
// and passed by when their turn comes; a push under way is finished and not
// repeated.
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
