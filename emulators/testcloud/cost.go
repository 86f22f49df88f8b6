package testcloud

import (
	"fmt"
	"io"
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

// GrowsLinearly fails the test if ten times the input costs three times what a linear cost would
// be, or more. prepare makes one run for an input of that many parts.
//
// A linear cost is ten times as much, or more where a large input does not fit into the caches of
// a busy processor and needs memory that is not mapped yet: up to 47 times were seen. So the run
// is compared with a copy that needs as much memory, in the same rounds. A cost that grows with
// the square of the input grows a hundredfold.
//
// The cost is the CPU time of the thread without the garbage collector, and the least
// of several runs, so that other load of the machine does not count. On a busy
// machine it takes more rounds. Do not call it in a parallel test.
func GrowsLinearly(t *testing.T, few int, prepare func(parts int) (run func())) {
	t.Helper()
	const (
		most        = 3.0              // times the growth of a linear cost
		linear      = 10.0             // the growth of a linear cost, at least
		least, last = 3, 60            // rounds
		enough      = 20 * time.Second // of CPU time: it will not get better
	)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))

	small, large := newTimedRun(prepare(few)), newTimedRun(prepare(10*few))
	var growth, ofCopies float64
	began := cpuTime()
	for round := range last {
		if round >= least && cpuTime()-began > enough {
			break
		}
		runtime.GC()
		small.measure()
		large.measure()
		growth = float64(large.shortest) / float64(small.shortest)
		ofCopies = max(linear, float64(large.ofCopy)/float64(small.ofCopy))
		if round+1 >= least && growth < most*ofCopies {
			return
		}
	}

	t.Errorf("%d parts cost %v and %d parts %v: %.1f times as much, want less than %.0f times %.1f (copies took %v and %v)",
		few, small.shortest, 10*few, large.shortest, growth, most, ofCopies, small.ofCopy, large.ofCopy)
}

// A timedRun is a run, and a copy that needs as much memory.
type timedRun struct {
	run              func()
	memory           int64 // bytes that the run allocates
	shortest, ofCopy time.Duration
}

func newTimedRun(run func()) *timedRun {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return &timedRun{run: run, memory: int64(after.TotalAlloc - before.TotalAlloc)}
}

// measure runs both once more.
func (r *timedRun) measure() {
	r.shortest = shorterTime(r.shortest, r.run)
	r.ofCopy = shorterTime(r.ofCopy, func() {
		// ReadAll allocates about five times what it reads, in buffers that grow.
		if _, err := io.ReadAll(io.LimitReader(endless{}, r.memory/5)); err != nil {
			panic(err)
		}
	})
}

// endless is a reader of the same byte without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
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
