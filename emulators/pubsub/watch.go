package pubsub

import (
	"sync"
	"time"
)

// A Delivery is one push and its result.
type Delivery struct {
	Subscription, MessageID string
	Attempt                 int   // the first is 1
	Status                  int   // HTTP status of the answer; 0: there was none
	Err                     error // why there was no answer
	Took                    time.Duration
	DeadLettered            bool // it was the last attempt, and the message was published to the dead letter topic
}

func (d Delivery) acknowledged() bool {
	switch d.Status {
	case 102, 200, 201, 202, 204:
		return true
	}
	return false
}

// watchers has the watchers of Subscribe.
type watchers struct {
	mu   sync.Mutex // guards all and none
	all  map[*watcher]bool
	none bool // closed
}

// A watcher has the deliveries that its reader has not read yet.
type watcher struct {
	mu      sync.Mutex // guards pending
	pending []Delivery
	more    chan struct{} // holds a value while a delivery is pending
	stop    chan struct{}
}

// Subscribe returns a channel with every push that ends from now on, in the order of their
// ends. Unread deliveries are kept until the returned function is called, which closes the
// channel. A push is in the channel before its message is settled, so after WaitIdle all of
// them can be read.
func (s *Server) Subscribe() (<-chan Delivery, func()) {
	w := &watcher{more: make(chan struct{}, 1), stop: make(chan struct{})}
	c := make(chan Delivery, 64)
	if !s.watchers.add(w) {
		close(c)
		return c, func() {}
	}
	go w.forwardDeliveries(c)
	return c, func() { s.watchers.remove(w) }
}

func (w *watchers) add(x *watcher) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.none {
		return false
	}
	if w.all == nil {
		w.all = map[*watcher]bool{}
	}
	w.all[x] = true
	return true
}

func (w *watchers) remove(x *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[x] {
		delete(w.all, x)
		close(x.stop)
	}
}

func (w *watchers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.none = true
	for x := range w.all {
		delete(w.all, x)
		close(x.stop)
	}
}

// notifyAll gives a delivery to every watcher. It never blocks, because a worker calls
// it.
func (w *watchers) notifyAll(d Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.all {
		x.mu.Lock()
		x.pending = append(x.pending, d)
		x.mu.Unlock()
		select {
		case x.more <- struct{}{}:
		default:
		}
	}
}

// forwardDeliveries sends the pending deliveries to c until stop is closed.
func (w *watcher) forwardDeliveries(c chan<- Delivery) {
	defer close(c)
	for {
		select {
		case <-w.more:
		case <-w.stop:
			return
		}

		w.mu.Lock()
		batch := w.pending
		w.pending = nil
		w.mu.Unlock()

		for _, d := range batch {
			select {
			case c <- d:
			case <-w.stop:
				return
			}
		}
	}
}
