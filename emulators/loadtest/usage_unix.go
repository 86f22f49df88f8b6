//go:build unix

package loadtest

import (
	"runtime"
	"syscall"
	"time"
)

// cpuSeconds returns the CPU time of this process, in seconds; 0 if the system does not
// report it.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// peakRSS returns the largest resident memory of this process, in MiB; 0 if the system
// does not report it.
func peakRSS() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" { // in bytes; other systems count in KiB
		return int64(u.Maxrss) / (1024 * 1024)
	}
	return int64(u.Maxrss) / 1024
}
