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

// leaseReady leases ready messages to st, or to a unary pull if st is nil. If there are
// none, the returned channel is closed when the caller should try again.
func (b *subscription) leaseReady(most int, st *stream) (msgs []*pb.ReceivedMessage, bell <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.checkPullLocked(); err != nil {
		return nil, nil, err
	}

	bytes := 0
	for len(msgs) < min(most, 1000) && bytes < pullBytes && st.hasRoom() {
		e := b.takeReadyLocked()
		if e == nil {
			break
		}
		bytes += billedBytes(e.msg)
		msgs = append(msgs, b.leaseEntryLocked(e, st))
	}
	if len(msgs) > 0 {
		b.s.usage.countDelivered(len(msgs), bytes)
		return msgs, nil, nil
	}
	if b.bell == nil {
		b.bell = make(chan struct{})
	}

	return nil, b.bell, nil
}

// checkPullLocked returns an error if messages cannot be pulled.
func (b *subscription) checkPullLocked() error {
	switch {
	case b.closed:
		return notFound(b.name)
	case b.stopped:
		return status.Error(codes.Unavailable, "The server is stopping.")
	case b.conf.GetDetached():
		return status.Errorf(codes.FailedPrecondition, "Subscription is detached (resource=%s).", b.name)
	case b.endpoint != nil:
		return status.Error(codes.FailedPrecondition, "This method is not supported for this subscription type.")
	}
	return nil
}

// leaseEntryLocked leases an entry that takeReadyLocked has returned.
func (b *subscription) leaseEntryLocked(e *entry, st *stream) *pb.ReceivedMessage {
	b.lease++
	e.lease = b.lease
	b.leased[e.lease] = e
	deadline := time.Duration(b.conf.GetAckDeadlineSeconds()) * time.Second
	if st != nil {
		e.owner, deadline = st, st.deadline
		st.addHeldLocked(e, 1)
	}

	b.scheduleLocked(e, b.scaleDeadline(deadline))
	m := &pb.ReceivedMessage{AckId: strconv.FormatUint(e.lease, 36), Message: e.msg}
	if b.conf.GetDeadLetterPolicy() != nil {
		m.DeliveryAttempt = int32(e.attempt)
	}
	return m
}

func (b *subscription) scaleDeadline(deadline time.Duration) time.Duration {
	return time.Duration(float64(deadline) * b.s.opt.DeadlineScale)
}

// endLeaseLocked ends the lease of an entry.
func (b *subscription) endLeaseLocked(e *entry) {
	delete(b.leased, e.lease)
	e.lease = 0
	b.s.changes.Add(1)
	if e.owner != nil {
		e.owner.addHeldLocked(e, -1)
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
			b.endLeaseLocked(e)
			b.removeSettledLocked(e)
		}
	}
	b.wakeLocked()
}

// extendLease sets the end of a lease to d from now. A zero d is a nack. It publishes a
// dead letter only after it has released the lock, because this subscription may be one
// of that topic.
func (b *subscription) extendLease(id uint64, d time.Duration) {
	b.mu.Lock()
	e := b.leased[id]
	if e != nil && d > 0 {
		b.scheduleLocked(e, b.scaleDeadline(d))
		e = nil
	}

	dead := e != nil && b.releaseLocked(e)
	b.wakeLocked()
	b.mu.Unlock()

	if dead {
		b.publishDeadLetters([]*entry{e})
	}
}

// releaseLocked ends a lease that was refused or has run out. It reports whether that
// was the last attempt; then the caller publishes the dead letter.
func (b *subscription) releaseLocked(e *entry) (dead bool) {
	b.endLeaseLocked(e)
	if b.attemptsUsedLocked(e) {
		b.hands[e] = true
		return true
	}
	b.scheduleRetryLocked(e)
	return false
}

// wakeLocked starts workers, or notifies pullers, if an entry is ready.
func (b *subscription) wakeLocked() {
	if b.endpoint != nil {
		b.startWorkersLocked()
	} else if b.ready.len() > 0 {
		b.notifyPullersLocked()
	}
}

// notifyPullersLocked notifies the pullers that wait.
func (b *subscription) notifyPullersLocked() {
	if b.bell != nil {
		close(b.bell)
		b.bell = nil
	}
}

// allEntriesLocked returns every entry of the subscription.
func (b *subscription) allEntriesLocked() []*entry {
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

// dropMatching removes the entries that match. Entries in the queue are marked, and
// skipped when their turn comes. A push under way is finished and not repeated.
func (b *subscription) dropMatching(match func(*entry) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.allEntriesLocked() {
		if e.dropped || !match(e) {
			continue
		}
		e.dropped = true
		b.addCountLocked(-1)
		if e.lease != 0 {
			b.endLeaseLocked(e)
			b.startNextOfKeyLocked(e)
		}
	}

	for range b.ready.len() {
		if e := b.ready.pop(); e.dropped {
			b.startNextOfKeyLocked(e)
		} else {
			b.ready.push(e)
		}
	}

	b.wakeLocked()
}
