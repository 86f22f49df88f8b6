package instances

import (
	"context"
	"fmt"
	"time"

	"carillon.example/shared/push"
)

// afterCrash is how long the place of a process that ended by itself stays
// empty: an instance has to start.
const restartDelay = 500 * time.Millisecond

// crashed clears the place of a process that has ended without being told to,
// and starts another one there a moment later.
func (f *Fleet) handleCrash(x *Instance, life int) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	if x.stopping || x.Life != life || f.closed {
		return
	}

	x.crashed = life
	f.Calls.MarkKilled(x)
	f.stats[x.Function+" ended by itself"]++
	_ = x.stdin.Close()
	x.exited, x.proxy, x.Command = nil, nil, nil
	f.restarts.Go(func() {
		time.Sleep(restartDelay)
		if err := f.Start(context.Background(), x); err != nil {
			fmt.Fprintln(f.log, err) // what comes meanwhile is answered 503
		}
	})
}

// brokenKey finds, in a request's context, the *bool that the proxy sets when the
// connection to the process broke.
type brokenKey struct{}

// noticed is how long the end of a process may take to be noticed after its
// connections broke.
const crashNoticeTimeout = 2 * time.Second

// hasCrashed reports whether a process whose connection broke has ended by
// itself. It waits for the end to be noticed.
func (f *Fleet) hasCrashed(x *Instance, life int) bool {
	for until := time.Now().Add(crashNoticeTimeout); ; time.Sleep(10 * time.Millisecond) {
		f.Mu.Lock()
		crashed, told := x.crashed >= life, x.stopping || x.Life != life
		f.Mu.Unlock()
		if crashed || told || time.Now().After(until) {
			return crashed
		}
	}
}

// Crash ends every process that has a call for a batch under way, as if it had
// ended by itself.
func (f *Fleet) Crash(ref push.BatchRef) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	for _, x := range f.Calls.WorkingOn(ref) {
		if x.Command == nil || x.stopping {
			continue
		}
		f.Calls.MarkKilled(x)
		_ = x.Command.Process.Kill() // it may have ended by itself
		f.stats[x.Function+" killed by its batch"]++
	}
}

// BusyWith are the instances that have a call for a batch under way.
func (c *CallLog) WorkingOn(ref push.BatchRef) (out []*Instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for x, list := range c.active {
		for _, k := range list {
			if k.ref == ref && k.life == x.Life {
				out = append(out, x)
				break
			}
		}
	}
	return out
}
