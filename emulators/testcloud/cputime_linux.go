package testcloud

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what the thread has used of the processor: what other programs on the
// machine use does not count.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
