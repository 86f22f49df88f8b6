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
	mu          sync.Mutex // guards the fields below
	byRef       map[push.BatchRef][]*Call
	active      map[*Instance][]*Call
	killedStart map[*Instance]int // number of the last process that was killed
}

// A Call is one request to deliver for one batch.
type Call struct {
	ref           push.BatchRef
	start         int       // number of the process, counted by Instance.Starts
	Began, Killed time.Time // Killed is zero if the call was not killed
	Ended         time.Time // zero while the call is in progress
}

// NewCallLog returns an empty log.
func NewCallLog() *CallLog {
	return &CallLog{byRef: map[push.BatchRef][]*Call{}, active: map[*Instance][]*Call{}, killedStart: map[*Instance]int{}}
}

// Begin records a call to the process with the number start. The caller calls the returned
// function at the end of the call; crashed says whether the process had ended by itself. A
// nil *CallLog records nothing.
func (c *CallLog) Begin(x *Instance, start int, ref push.BatchRef) func(crashed bool) {
	if c == nil {
		return func(bool) {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &Call{ref: ref, start: start, Began: time.Now()}
	if c.killedStart[x] >= start {
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
	c.killedStart[x] = x.Starts
	for _, k := range c.active[x] {
		if k.start == x.Starts && k.Killed.IsZero() {
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

// DeleteMailing deletes the calls for the batches of a mailing.
func (c *CallLog) DeleteMailing(mailing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref := range c.byRef {
		if ref.Mailing == mailing {
			delete(c.byRef, ref)
		}
	}
}

// MayHaveSent reports whether a killed call may have sent the message that FCM accepted at
// t. This is possible in two cases. The call was in progress at t. Or it was killed before
// t, and no other call was in progress since: the request of a process can still reach FCM
// after the process has ended.
func (c Call) MayHaveSent(t time.Time, calls []Call) bool {
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
