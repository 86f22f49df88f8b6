package deliver

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

// headerReads are the reads of a mailing's header. Each waits until the test answers it.
type headerReads struct {
	count   atomic.Int64
	began   chan struct{}
	release chan *push.Mailing
}

func newHeaderReads() *headerReads {
	return &headerReads{began: make(chan struct{}, 10), release: make(chan *push.Mailing, 10)}
}

// store makes a store with these reads.
func (r *headerReads) store() *storetest.FailingStore {
	return storetest.New(nil).Before(func(c *storetest.Call) error {
		r.count.Add(1)
		r.began <- struct{}{}
		c.Answer(<-r.release)
		return nil
	}, storetest.ReadMailingHeader)
}

// TestAnOldStateIsNoAnswer: whoever asks while the mailing is read gets what is
// read, never what was read before; and it is read once.
func TestAnOldStateIsNoAnswer(t *testing.T) {
	t.Parallel()
	clock := testcloud.Noon()
	reads := newHeaderReads()
	states := newStateCache(reads.store(), clock.Now)
	reads.release <- &push.Mailing{State: push.Sending}
	if _, err := states.getState(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	<-reads.began
	clock.Add(2 * stateAge)

	got := make(chan push.State, 5)
	for range cap(got) {
		go func() {
			m, err := states.getState(context.WithoutCancel(t.Context()), "m")
			if err != nil {
				t.Error(err)
				m = &push.Mailing{}
			}
			got <- m.State
		}()
	}
	<-reads.began
	select {
	case state := <-got:
		t.Fatalf("answered %s before the mailing was read", state)
	case <-time.After(20 * time.Millisecond):
	}
	for range cap(got) {
		reads.release <- &push.Mailing{State: push.Cancelled}
	}
	for range cap(got) {
		if state := <-got; state != push.Cancelled {
			t.Errorf("answered %s, want %s", state, push.Cancelled)
		}
	}
	if n := reads.count.Load(); n != 2 {
		t.Errorf("read %d times, want twice: once for all who asked at the same time", n)
	}
}

// TestACallThatEndsWaitsForNoState: the reading goes on for the others.
func TestACallThatEndsWaitsForNoState(t *testing.T) {
	t.Parallel()
	reads := newHeaderReads()
	states := newStateCache(reads.store(), (&testcloud.Clock{}).Now)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := states.getState(ctx, "m")
		ended <- err
	}()
	<-reads.began
	cancel()
	if err := <-ended; err == nil {
		t.Error("a call that ended got an answer, want its error")
	}
	reads.release <- &push.Mailing{State: push.Paused}
	m, err := states.getState(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if m.State != push.Paused {
		t.Errorf("answered %s, want %s", m.State, push.Paused)
	}
}
