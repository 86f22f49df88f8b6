//go:build !linux

package testcloud

import "time"

var began = time.Now()

// cpuTime returns the time that has passed, because this system does not report the CPU
// time of a thread.
func cpuTime() time.Duration { return time.Since(began) }
