package pubsub

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// pushBacklog counts the messages that push subscriptions have not settled, in one
// number for all of them. An endpoint that publishes before it answers increases the
// number before its own message decreases it. So the number is zero only when nothing is
// left to do.
type pushBacklog struct {
	n    atomic.Int64
	mu   sync.Mutex    // guards bell
	bell chan struct{} // closed when the number becomes zero; nil if no goroutine waits
}

func (o *pushBacklog) add(n int) {
	if o.n.Add(int64(n)) > 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bell != nil {
		close(o.bell)
		o.bell = nil
	}
}

func (o *pushBacklog) none() bool { return o.n.Load() == 0 }

// wait waits until the number is zero. It reads the number only after it has the
// channel, so that no change is missed.
func (o *pushBacklog) wait(ctx context.Context) error {
	for {
		o.mu.Lock()
		if o.bell == nil {
			o.bell = make(chan struct{})
		}
		bell := o.bell
		o.mu.Unlock()

		if o.none() {
			return nil
		}

		select {
		case <-bell:
		case <-ctx.Done():
			return fmt.Errorf("waiting for pushes, %d messages are not settled: %w", o.n.Load(), ctx.Err())
		}
	}
}
