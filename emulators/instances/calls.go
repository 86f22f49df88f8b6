package instances

import (
	"slices"
	"sync"
	"time"

	"carillon.example/shared/push"
)

// CallLog remembers which process worked on which batch when, and how that
// ended: what a killed process may have sent twice is judged by it.
type CallLog struct {
	mu         sync.Mutex
	byRef      map[push.BatchRef][]*Call
	active     map[*Instance][]*Call
	killedLife map[*Instance]int // the last life that was killed
}

// A Call is one request to deliver for one batch.
type Call struct {
	ref           push.BatchRef
	life          int
	Began, Killed time.Time // killed: zero when it was not
	Ended         time.Time // zero while it goes on
}

// NewCallLog makes an empty log.
func NewCallLog() *CallLog {
	return &CallLog{byRef: map[push.BatchRef][]*Call{}, active: map[*Instance][]*Call{}, killedLife: map[*Instance]int{}}
}

// Begin books a call and answers what books its end: crashed says that the
// process ended by itself meanwhile. A nil *calls books nothing.
func (c *CallLog) Begin(x *Instance, life int, ref push.BatchRef) func(crashed bool) {
	if c == nil {
		return func(bool) {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &Call{ref: ref, life: life, Began: time.Now()}
	if c.killedLife[x] >= life {
		k.Killed = k.Began // it never got there
	}

	c.byRef[ref] = append(c.byRef[ref], k)
	c.active[x] = append(c.active[x], k)
	return func(crashed bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		k.Ended = time.Now()
		if crashed && k.Killed.IsZero() {
			k.Killed = k.Ended
		}
		c.active[x] = slices.DeleteFunc(c.active[x], func(o *Call) bool { return o == k })
	}
}

// MarkKilled books the end of everything a process has under way.
func (c *CallLog) MarkKilled(x *Instance) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killedLife[x] = x.Life
	for _, k := range c.active[x] {
		if k.life == x.Life && k.Killed.IsZero() {
			k.Killed = time.Now()
		}
	}
}

// Of answers the calls for a batch, as they were, in order.
func (c *CallLog) ForBatch(ref push.BatchRef) []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Call, len(c.byRef[ref]))
	for i, k := range c.byRef[ref] {
		out[i] = *k
	}
	return out
}

// Forget drops what is known of a mailing's batches.
func (c *CallLog) Forget(mailing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref := range c.byRef {
		if ref.Mailing == mailing {
			delete(c.byRef, ref)
		}
	}
}

// MaySend reports whether what FCM took at t may be a killed call's: it was
// under way then, or had been killed, and no other call was under way since.
// What a process has written to a connection outlives it, and takes as long as
// FCM takes.
func (c Call) MaySend(t time.Time, calls []Call) bool {
	if c.Began.After(t) || c.Killed.After(t) {
		return !c.Began.After(t)
	}
	return !slices.ContainsFunc(calls, func(o Call) bool { return o != c && !o.Began.After(t) && o.activeAfter(c.Killed) })
}

func (c Call) activeAfter(t time.Time) bool {
	switch {
	case !c.Killed.IsZero():
		return c.Killed.After(t)
	case !c.Ended.IsZero():
		return c.Ended.After(t)
	}
	return true
}
