package instances

import (
	"context"
	"fmt"
	"time"

	"carillon.example/shared/push"
)

// restartDelay is how long an instance stays down after its process ended by itself:
// a new process has to start.
const restartDelay = 500 * time.Millisecond

// handleCrash cleans up after the process with the number start has ended by itself, and
// starts another process after restartDelay. It does nothing after End or Close.
func (f *Fleet) handleCrash(x *Instance, start int) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	if x.stopping || x.Starts != start || f.closed {
		return
	}

	x.crashed = start
	f.Calls.MarkKilled(x)
	f.stats[x.Function+" ended by itself"]++
	_ = x.stdin.Close()
	x.exited, x.proxy, x.Command = nil, nil, nil
	f.restarts.Go(func() {
		time.Sleep(restartDelay)
		if err := f.Start(context.Background(), x); err != nil {
			fmt.Fprintln(f.log, err) // requests get 503 while the instance is down
		}
	})
}

// brokenKey is the key, in the context of a request, of the *bool that the proxy sets
// when the connection to the process broke.
type brokenKey struct{}

// crashNoticeTimeout is how long hasCrashed waits for the end of a process after its
// connection broke.
const crashNoticeTimeout = 2 * time.Second

// hasCrashed reports whether a process whose connection broke ended by itself. It
// waits until the end of the process is noticed.
func (f *Fleet) hasCrashed(x *Instance, start int) bool {
	for until := time.Now().Add(crashNoticeTimeout); ; time.Sleep(10 * time.Millisecond) {
		f.Mu.Lock()
		crashed, ended := x.crashed >= start, x.stopping || x.Starts != start
		f.Mu.Unlock()
		if crashed || ended || time.Now().After(until) {
			return crashed
		}
	}
}

// Crash kills every process that has a call for a batch in progress. The fleet treats
// this as a process that ended by itself.
func (f *Fleet) Crash(ref push.BatchRef) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	for _, x := range f.Calls.InstancesFor(ref) {
		if x.Command == nil || x.stopping {
			continue
		}
		f.Calls.MarkKilled(x)
		_ = x.Command.Process.Kill() // an error means that the process has ended already
		f.stats[x.Function+" crashed by a batch"]++
	}
}

// InstancesFor returns the instances that have a call for a batch in progress.
func (c *CallLog) InstancesFor(ref push.BatchRef) (out []*Instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for x, list := range c.active {
		for _, k := range list {
			if k.ref == ref && k.start == x.Starts {
				out = append(out, x)
				break
			}
		}
	}
	return out
}
