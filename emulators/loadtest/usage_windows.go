package loadtest

import (
	"syscall"
	"time"
)

// cpuSeconds returns the CPU time of this process, in seconds; 0 if the system does not
// report it.
func cpuSeconds() float64 {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	var created, exited, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(process, &created, &exited, &kernel, &user) != nil {
		return 0
	}
	return (durationOf(kernel) + durationOf(user)).Seconds()
}

// durationOf returns a Filetime that is a duration: Filetime.Nanoseconds takes it for a time.
func durationOf(t syscall.Filetime) time.Duration {
	return time.Duration(int64(t.HighDateTime)<<32+int64(t.LowDateTime)) * 100
}

// peakRSS returns 0: the largest resident memory of a process is not in the standard library
// for Windows.
func peakRSS() int64 { return 0 }
