package main

import (
	"slices"
	"sync"
	"time"

	"carillon.example/shared/push"
)

// calls remembers which process worked on which batch when, and how that
// ended: what a killed process may have sent twice is judged by it.
type calls struct {
	mu    sync.Mutex
	byRef map[push.BatchRef][]*call
	live  map[*instance][]*call
	dead  map[*instance]int // the last life that was killed
}

// A call is one request to deliver for one batch.
type call struct {
	ref           push.BatchRef
	life          int
	began, killed time.Time // killed: zero when it was not
	ended         time.Time // zero while it goes on
}

func newCalls() *calls {
	return &calls{byRef: map[push.BatchRef][]*call{}, live: map[*instance][]*call{}, dead: map[*instance]int{}}
}

// begin books a call and answers what books its end: crashed says that the
// process ended by itself meanwhile. A nil *calls books nothing.
func (c *calls) begin(x *instance, life int, ref push.BatchRef) func(crashed bool) {
	if c == nil {
		return func(bool) {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &call{ref: ref, life: life, began: time.Now()}
	if c.dead[x] >= life {
		k.killed = k.began // it never got there
	}

	c.byRef[ref] = append(c.byRef[ref], k)
	c.live[x] = append(c.live[x], k)
	return func(crashed bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		k.ended = time.Now()
		if crashed && k.killed.IsZero() {
			k.killed = k.ended
		}
		c.live[x] = slices.DeleteFunc(c.live[x], func(o *call) bool { return o == k })
	}
}

// killed books the end of everything a process has under way.
func (c *calls) killed(x *instance) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead[x] = x.life
	for _, k := range c.live[x] {
		if k.life == x.life && k.killed.IsZero() {
			k.killed = time.Now()
		}
	}
}

// of answers the calls for a batch, as they were, in order.
func (c *calls) of(ref push.BatchRef) []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]call, len(c.byRef[ref]))
	for i, k := range c.byRef[ref] {
		out[i] = *k
	}
	return out
}

// forget drops what is known of a mailing's batches.
func (c *calls) forget(mailing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref := range c.byRef {
		if ref.Mailing == mailing {
			delete(c.byRef, ref)
		}
	}
}
