package deliver

import (
	"context"
	"sync"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// While another call holds the batch a redelivery does nothing; once the lease
// has lapsed it goes on.
func TestALeasedBatchIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 3)...)
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(t.Context(), b, push.Lease{Owner: "another", Until: w.clock.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	w.deliver(ref)
	if sent := w.messagesByToken("m"); len(sent) > 0 {
		t.Errorf("a call without the lease sent to %v", sent)
	}
	w.clock.Add(2 * time.Minute)
	w.deliver(ref)
	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Accepted, 3, "tokens accepted")
}

// Copies of a message that one instance works on at the same time: one has the
// lease, the others know that it is not theirs.
func TestCopiesInOneInstanceSendOnce(t *testing.T) {
	t.Parallel()
	const copies = 4
	w := newBatchHarness(t, phones.Options{Latency: 20 * time.Millisecond})
	ref := w.mailing("m", true, names("t", 50)...)
	var read, done sync.WaitGroup
	read.Add(copies)
	w.d.Store = storetest.New(w.Store).After(storetest.Do(func() {
		read.Done()
		read.Wait() // no copy goes on before all have read the batch
	}), storetest.ReadBatch)
	for range copies {
		done.Go(func() {
			if err := w.d.deliverAndFinish(t.Context(), ref, ""); err != nil && replyFor(queue.Message{}, err) != queue.Ack {
				t.Error(err)
			}
		})
	}
	done.Wait()
	for token, n := range w.messagesByToken("m") {
		if n != 1 {
			t.Errorf("%s got %d messages, want 1", token, n)
		}
	}
	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Accepted, 50, "tokens accepted")
}

// TestLeaseKeepsASecondCopyOut: of copies delivered at once one sends.
func TestLeaseKeepsASecondCopyOut(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{Latency: 20 * time.Millisecond})
	ref := w.mailing("m", true, names("t", 300)...)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			err := newDeliverer(w.deps).deliverAndFinish(t.Context(), ref, "")
			if replyFor(queue.Message{}, err) != queue.Ack {
				t.Errorf("a copy failed: %v", err)
			}
		})
	}
	wg.Wait()
	for token, n := range w.messagesByToken("m") {
		if n != 1 {
			t.Errorf("%s got %d messages, want 1", token, n)
		}
	}
	_, totals := w.totals("m")
	check.Equal(t, totals.Accepted, int64(300), "accepted tokens")
}

// TestNothingIsSentAfterTheLease: whatever is handed to the sender ends before
// the lease does, and with the mailing if that ends first.
func TestNothingIsSentAfterTheLease(t *testing.T) {
	t.Parallel()
	for _, left := range []time.Duration{time.Hour, 15 * time.Second} { // a call would send for 20
		w := newBatchHarness(t, phones.Options{})
		ref := w.mailing("m", true, names("t", 3)...)
		m, err := w.ReadMailingHeader(t.Context(), "m")
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Add(m.ExpiresAt.Sub(w.clock.Now()) - left)
		w.deps.Sender = watched{w.deps.Sender, func(ctx context.Context, it fcm.Item) {
			b, err := w.ReadBatch(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			end, ok := ctx.Deadline()
			end = end.Add(time.Until(w.clock.Now())) // the context's clock is the machine's
			for _, last := range []time.Time{it.Until, end} {
				check.Equal(t, ok, true, "that the context has a deadline")
				if it.Until.IsZero() {
					t.Error("it may be sent without an end, want an end")
				}
				if !last.Before(b.Lease.Until) {
					t.Errorf("it may be sent until %v, want an end before the lease ends at %v", last, b.Lease.Until)
				}
				if latest := m.ExpiresAt.Add(time.Second); last.After(latest) {
					t.Errorf("it may be sent until %v, want an end at %v at the latest, with the mailing", last, latest)
				}
			}
		}}
		w.d = newDeliverer(w.deps)
		w.deliver(ref)
		_, totals := w.totals("m")
		check.Equal(t, totals.Accepted, int64(3), "accepted tokens")
	}
}

// watched looks at what a sender is given.
type watched struct {
	sender
	look func(context.Context, fcm.Item)
}

func (s watched) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	s.look(ctx, it)
	s.sender.Send(ctx, it, answered)
}
