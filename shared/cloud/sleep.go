package cloud

import (
	"context"
	"time"
)

// Sleep waits for d, or until ctx ends: then the error is ctx's.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
