//go:build !linux

package testcloud

import "time"

var began = time.Now()

// cpuTime is the time that has passed: the thread's own is not known here.
func cpuTime() time.Duration { return time.Since(began) }
