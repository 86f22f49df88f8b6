package testcloud

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// Many returns a text n times, with its number for %d, separated by commas: the parts
// of a list or an object.
func Many(n int, format string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = strings.ReplaceAll(format, "%d", fmt.Sprint(i))
	}
	return strings.Join(parts, ",")
}

// GrowsLinearly fails the test if ten times the input costs 30 times as much or more.
// A cost that grows with the square of the input grows a hundredfold; a linear one was
// seen to grow up to 16 times, because a large input does not fit into the caches of a
// busy processor. prepare makes one run for an input of that many parts.
//
// The cost is the CPU time of the thread without the garbage collector, and the least
// of several runs, so that other load of the machine does not count. On a busy
// machine it takes more rounds. Do not call it in a parallel test.
func GrowsLinearly(t *testing.T, few int, prepare func(parts int) (run func())) {
	t.Helper()
	const (
		most        = 30.0
		least, last = 3, 60            // rounds
		enough      = 20 * time.Second // of CPU time: it will not get better
	)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	small, large := prepare(few), prepare(10*few)
	var shortest, longest time.Duration // of the small input, and of the large one
	began := cpuTime()
	for round := range last {
		if round >= least && cpuTime()-began > enough {
			break
		}
		runtime.GC()
		shortest, longest = shorterTime(shortest, small), shorterTime(longest, large)
		if round+1 >= least && float64(longest) < most*float64(shortest) {
			return
		}
	}

	t.Errorf("%d parts cost %v and %d parts %v: %.1f times as much, want less than %.0f times",
		few, shortest, 10*few, longest, float64(longest)/float64(shortest), most)
}

// shorterTime returns the CPU time of run, or before if that is less and not 0.
func shorterTime(before time.Duration, run func()) time.Duration {
	began := cpuTime()
	run()
	took := cpuTime() - began
	if before > 0 {
		return min(before, took)
	}
	return took
}
