package testcloud

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time of the thread. It excludes the time of other programs on
// the machine.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
