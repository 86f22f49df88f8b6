package deliver

import (
	"context"
	"sync"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

// shelf is a ledger that answers a reading when it is told to.
type shelf struct {
	dataStore
	mu      sync.Mutex
	reads   int
	began   chan struct{}
	release chan *push.Mailing
}

func (s *shelf) ReadMailingHeader(context.Context, string) (*push.Mailing, error) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	s.began <- struct{}{}
	return <-s.release, nil
}

// TestAStaleStateIsNoAnswer: whoever asks while the mailing is read gets what is
// read, never what was read before; and it is read once.
func TestAStaleStateIsNoAnswer(t *testing.T) {
	t.Parallel()
	clock := testcloud.Noon()
	s := &shelf{began: make(chan struct{}, 10), release: make(chan *push.Mailing, 10)}
	states := newStateCache(s, clock.Now)
	s.release <- &push.Mailing{State: push.Sending}
	if _, err := states.getState(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	<-s.began
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
	<-s.began
	select {
	case state := <-got:
		t.Fatalf("answered %s before the mailing was read", state)
	case <-time.After(20 * time.Millisecond):
	}
	for range cap(got) {
		s.release <- &push.Mailing{State: push.Cancelled}
	}
	for range cap(got) {
		if state := <-got; state != push.Cancelled {
			t.Errorf("answered %s, want %s", state, push.Cancelled)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads != 2 {
		t.Errorf("read %d times, want twice: once for all who asked at the same time", s.reads)
	}
}

// TestACallThatEndsWaitsForNoState: the reading goes on for the others.
func TestACallThatEndsWaitsForNoState(t *testing.T) {
	t.Parallel()
	s := &shelf{began: make(chan struct{}, 10), release: make(chan *push.Mailing, 10)}
	states := newStateCache(s, (&testcloud.Clock{}).Now)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := states.getState(ctx, "m")
		ended <- err
	}()
	<-s.began
	cancel()
	if err := <-ended; err == nil {
		t.Error("a call that ended got an answer, want its error")
	}
	s.release <- &push.Mailing{State: push.Paused}
	m, err := states.getState(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if m.State != push.Paused {
		t.Errorf("answered %s, want %s", m.State, push.Paused)
	}
}
