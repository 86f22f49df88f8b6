package instances

import (
	"slices"
	"sync"
	"time"

	"carillon.example/shared/push"
)

// A CallLog records which process worked on which batch, when, and how the call
// ended. The chaos run uses it to explain what a killed process sent twice. It is
// safe for concurrent use. Begin and MarkKilled accept a nil *CallLog.
type CallLog struct {
	mu         sync.Mutex // guards the fields below
	byRef      map[push.BatchRef][]*Call
	active     map[*Instance][]*Call
	killedLife map[*Instance]int // the last life that was killed
}

// A Call is one request to deliver for one batch.
type Call struct {
	ref           push.BatchRef
	life          int
	Began, Killed time.Time // Killed is zero if the call was not killed
	Ended         time.Time // zero while it goes on
}

// NewCallLog returns an empty log.
func NewCallLog() *CallLog {
	return &CallLog{byRef: map[push.BatchRef][]*Call{}, active: map[*Instance][]*Call{}, killedLife: map[*Instance]int{}}
}

// Begin records a call. The caller calls the returned function at the end of the
// call; crashed says that the process ended by itself before. A nil *CallLog records
// nothing.
func (c *CallLog) Begin(x *Instance, life int, ref push.BatchRef) func(crashed bool) {
	if c == nil {
		return func(bool) {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &Call{ref: ref, life: life, Began: time.Now()}
	if c.killedLife[x] >= life {
		k.Killed = k.Began // the process was killed before the call reached it
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

// MarkKilled records that the process was killed, with every call that it has in
// progress.
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

// ForBatch returns copies of the calls for a batch, in the order in which they began.
func (c *CallLog) ForBatch(ref push.BatchRef) []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Call, len(c.byRef[ref]))
	for i, k := range c.byRef[ref] {
		out[i] = *k
	}
	return out
}

// Forget deletes the calls for the batches of a mailing.
func (c *CallLog) Forget(mailing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref := range c.byRef {
		if ref.Mailing == mailing {
			delete(c.byRef, ref)
		}
	}
}

// MaySend reports whether a killed call may have sent what FCM accepted at t. It may
// have if the call was in progress at t. It also may have if it was killed before t
// and no other call was in progress since: what a process has written to a connection
// stays there after its end, and FCM may take long to accept it.
func (c Call) MaySend(t time.Time, calls []Call) bool {
	if c.Began.After(t) || c.Killed.After(t) {
		return !c.Began.After(t)
	}
	return !slices.ContainsFunc(calls, func(o Call) bool { return o != c && !o.Began.After(t) && o.activeAfter(c.Killed) })
}

// activeAfter reports whether the call was in progress after t.
func (c Call) activeAfter(t time.Time) bool {
	switch {
	case !c.Killed.IsZero():
		return c.Killed.After(t)
	case !c.Ended.IsZero():
		return c.Ended.After(t)
	}
	return true
}
