package pubsub

import (
	"slices"
	"sync"
	"time"
)

// A Delivery is one push and what came of it.
type Delivery struct {
	Subscription, MessageID string
	Attempt                 int
	Status                  int   // of the answer; 0 without one
	Err                     error // why there was none
	Took                    time.Duration
	DeadLettered            bool
}

// acked reports whether the answer acknowledges: what Pub/Sub takes for that.
func (d Delivery) acked() bool {
	return slices.Contains([]int{102, 200, 201, 202, 204}, d.Status)
}

type watchers struct {
	mu   sync.Mutex
	subs map[chan Delivery]bool
}

// Subscribe tells every push from now on; a reader that does not keep up loses
// some.
func (w *watchers) Subscribe() (<-chan Delivery, func()) {
	c := make(chan Delivery, 1024)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.subs == nil {
		w.subs = map[chan Delivery]bool{}
	}
	w.subs[c] = true
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, c)
	}
}

func (w *watchers) tell(d Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.subs {
		select {
		case c <- d:
		default:
		}
	}
}
