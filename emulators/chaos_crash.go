package main

import (
	"context"
	"fmt"
	"time"
)

// afterCrash is how long the place of a process that ended by itself stays
// empty: an instance has to start.
const afterCrash = 500 * time.Millisecond

// crashed clears the place of a process that has ended without being told to,
// and starts another one there a moment later.
func (f *fleet) crashed(x *instance, life int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x.dying || x.life != life || f.closed {
		return
	}

	x.crashed = life
	f.calls.killed(x)
	f.stats[x.fn+" ended by itself"]++
	_ = x.stdin.Close()
	x.gone, x.proxy, x.cmd = nil, nil, nil
	f.revived.Go(func() {
		time.Sleep(afterCrash)
		if err := f.start(context.Background(), x); err != nil {
			fmt.Fprintln(f.log, err) // what comes meanwhile is answered 503
		}
	})
}

// brokenKey finds, in a request's context, the *bool that the proxy sets when the
// connection to the process broke.
type brokenKey struct{}

// noticed is how long the end of a process may take to be noticed after its
// connections broke.
const noticed = 2 * time.Second

// hasCrashed reports whether a process whose connection broke has ended by
// itself. It waits for the end to be noticed.
func (f *fleet) hasCrashed(x *instance, life int) bool {
	for until := time.Now().Add(noticed); ; time.Sleep(10 * time.Millisecond) {
		f.mu.Lock()
		crashed, told := x.crashed >= life, x.dying || x.life != life
		f.mu.Unlock()
		if crashed || told || time.Now().After(until) {
			return crashed
		}
	}
}
