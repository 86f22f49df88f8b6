package fcm

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Kinds of events.
const (
	EventAccepted  = "accepted"  // Message was taken for delivery
	EventValidated = "validated" // Message was found good, validate_only
	EventRefused   = "refused"   // Message got the error named in Outcome, or none
	EventChanged   = "changed"   // outcomes or settings were changed
	EventCleared   = "cleared"   // messages and counts were cleared
	EventLost      = "lost"      // Lost events did not fit the reader's queue
)

// Event is an event of the server.
type Event struct {
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome,omitempty"`
	Message *Message  `json:"message,omitempty"`
	Lost    int       `json:"lost,omitempty"`
}

// eventQueue is how many events wait for a slow reader before more are lost.
const eventQueue = 4096

// reader is one who listens: a bounded queue and a goroutine that empties it.
type reader struct {
	mu    sync.Mutex
	queue []Event
	lost  int
	ready chan struct{} // holds one when there is something to take
}

func (r *reader) put(e Event) {
	r.mu.Lock()
	if len(r.queue) < eventQueue {
		r.queue = append(r.queue, e)
	} else {
		r.lost++
	}
	r.mu.Unlock()
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// take empties the queue; what was lost stands at its end, where it is missing.
func (r *reader) take() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.queue
	r.queue = nil
	if r.lost > 0 {
		all = append(all, Event{Kind: EventLost, At: time.Now(), Lost: r.lost})
		r.lost = 0
	}
	return all
}

// pump hands the events on, until told to stop.
func (r *reader) pump(out chan<- Event, stop <-chan struct{}) {
	defer close(out)
	for {
		select {
		case <-r.ready:
		case <-stop:
			return
		}
		for _, e := range r.take() {
			select {
			case out <- e:
			case <-stop:
				return
			}
		}
	}
}

// readers are all who listen.
type readers struct {
	some atomic.Int32 // how many; a send looks here first
	mu   sync.Mutex
	all  map[*reader]struct{}
}

func (s *readers) publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.all {
		r.put(e)
	}
}

// Subscribe returns a channel with the events from now on, in order. A slow reader misses
// events, and gets one of kind EventLost in their place. The channel is closed by cancel,
// which may be called again, and by Close.
func (s *Server) Subscribe() (events <-chan Event, cancel func()) {
	r := &reader{ready: make(chan struct{}, 1)}
	out, stop := make(chan Event), make(chan struct{})
	s.readers.mu.Lock()
	if s.readers.all == nil {
		s.readers.all = map[*reader]struct{}{}
	}

	s.readers.all[r] = struct{}{}
	s.readers.some.Add(1)
	s.readers.mu.Unlock()
	leave := sync.OnceFunc(func() {
		s.readers.mu.Lock()
		delete(s.readers.all, r)
		s.readers.some.Add(-1)
		s.readers.mu.Unlock()
		close(stop)
	})

	detach := context.AfterFunc(s.life, leave)
	go r.pump(out, stop)
	return out, func() { detach(); leave() }
}

func (s *Server) tell(kind, outcome string, k *kept) {
	if s.readers.some.Load() == 0 {
		return
	}
	e := Event{Kind: kind, At: time.Now(), Outcome: outcome}
	if k != nil {
		m := k.message()
		m.ValidateOnly = kind == EventValidated
		e.Message = &m
	}
	s.readers.publish(e)
}
