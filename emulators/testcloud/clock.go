package testcloud

import (
	"context"
	"sync"
	"time"
)

// A Clock moves when a test moves it. The zero Clock also runs, from the current
// time. It is safe for concurrent use.
type Clock struct {
	mu    sync.Mutex
	base  time.Time // zero: it runs
	moved time.Duration
}

// Noon returns a clock that stands at noon of 1 November 2026, UTC.
func Noon() *Clock {
	return &Clock{base: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
}

// Now is the time.
func (c *Clock) Now() time.Time { return c.Add(0) }

// Add moves the clock and returns its new time.
func (c *Clock) Add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
	if c.base.IsZero() {
		return time.Now().UTC().Add(c.moved)
	}
	return c.base.Add(c.moved)
}

// Sleep moves the clock instead of waiting.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.Add(d)
	return ctx.Err()
}
