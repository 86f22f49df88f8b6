package pubsub

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// owed counts the messages that push subscriptions have not settled, in one number for all
// of them. An endpoint that publishes before it answers increases the number before its own
// message decreases it, so it is zero only when nothing is left to do.
type owed struct {
	n    atomic.Int64
	mu   sync.Mutex
	bell chan struct{} // closed when the number becomes zero; nil if no goroutine waits
}

func (o *owed) add(n int) {
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

func (o *owed) none() bool { return o.n.Load() == 0 }

func (o *owed) wait(ctx context.Context) error {
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
			return fmt.Errorf("waiting for pushes, %d messages still owed: %w", o.n.Load(), ctx.Err())
		}
	}
}
