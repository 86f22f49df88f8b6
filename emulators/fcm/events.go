package fcm

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Kinds of events.
const (
	EventAccepted  = "accepted"  // Message was accepted and stored
	EventValidated = "validated" // Message is valid, and only validation was asked for (validate_only)
	EventRefused   = "refused"   // Message got the error of Outcome, or no answer
	EventChanged   = "changed"   // outcomes or settings were changed
	EventCleared   = "cleared"   // messages and counts were cleared
	EventLost      = "lost"      // the queue of the reader was full, and Lost events are missing
)

// An Event is something that happened on the server.
type Event struct {
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome,omitempty"`
	Message *Message  `json:"message,omitempty"`
	Lost    int       `json:"lost,omitempty"`
}

// eventQueue is the number of events that wait for a slow reader. Further events are
// lost.
const eventQueue = 4096

// A reader has the events that one subscriber has not received yet, in a bounded queue.
// A goroutine empties it.
type reader struct {
	mu    sync.Mutex // guards queue and lost
	queue []Event
	lost  int
	ready chan struct{} // holds a value while the queue has an event
}

// addEvent never blocks, because a send calls it.
func (r *reader) addEvent(e Event) {
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

// takeAll empties the queue. The event of lost events is last, because the lost ones
// came after the others.
func (r *reader) takeAll() []Event {
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

// forwardEvents sends the events to out until stop is closed.
func (r *reader) forwardEvents(out chan<- Event, stop <-chan struct{}) {
	defer close(out)
	for {
		select {
		case <-r.ready:
		case <-stop:
			return
		}
		for _, e := range r.takeAll() {
			select {
			case out <- e:
			case <-stop:
				return
			}
		}
	}
}

// readers has all subscribers.
type readers struct {
	count atomic.Int32 // number of readers; a send checks it first, without the lock
	mu    sync.Mutex   // guards all
	all   map[*reader]struct{}
}

func (s *readers) publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.all {
		r.addEvent(e)
	}
}

// Subscribe returns a channel with the events from now on, in order. A slow reader
// misses events, and gets one of kind EventLost in their place. cancel and Close close
// the channel. cancel may be called more than once.
func (s *Server) Subscribe() (events <-chan Event, cancel func()) {
	r := &reader{ready: make(chan struct{}, 1)}
	out, stop := make(chan Event), make(chan struct{})
	s.readers.mu.Lock()
	if s.readers.all == nil {
		s.readers.all = map[*reader]struct{}{}
	}

	s.readers.all[r] = struct{}{}
	s.readers.count.Add(1)
	s.readers.mu.Unlock()
	leave := sync.OnceFunc(func() {
		s.readers.mu.Lock()
		delete(s.readers.all, r)
		s.readers.count.Add(-1)
		s.readers.mu.Unlock()
		close(stop)
	})

	detach := context.AfterFunc(s.life, leave) // Close ends the subscription
	go r.forwardEvents(out, stop)
	return out, func() { detach(); leave() }
}

// publishEvent passes an event to all readers. k may be nil. It costs almost nothing
// without readers.
func (s *Server) publishEvent(kind, outcome string, k *storedMessage) {
	if s.readers.count.Load() == 0 {
		return
	}

	e := Event{Kind: kind, At: time.Now(), Outcome: outcome}
	if k != nil {
		m := k.toMessage()
		m.ValidateOnly = kind == EventValidated
		e.Message = &m
	}
	s.readers.publish(e)
}
