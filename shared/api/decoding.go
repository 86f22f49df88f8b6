package api

import (
	"context"
	"runtime"
)

// largeBody is the size in bytes from which a body needs a free slot to be decoded.
// Registrations and most other requests are smaller.
const largeBody = 16 << 10

// slots is a semaphore: its capacity is how many goroutines may use a resource at the
// same time. It limits how many large bodies are decoded, so that the requests of other
// callers get the processor, and how many arrive.
type slots chan struct{}

// maxReceiving is how many large bodies may arrive at the same time, because each uses
// up to 16 MiB of memory. Others wait.
const maxReceiving = 4

func newSlots() slots { return make(slots, max(1, runtime.GOMAXPROCS(0)/2)) }

// Decode runs f, which decodes a body of size bytes. A large body waits for a free slot
// first. If ctx ends before that, Decode returns the error of ctx and does not run f.
func (a *API) Decode(ctx context.Context, size int, f func()) error {
	if size >= largeBody {
		return a.slots.runInSlot(ctx, f)
	}
	f()
	return nil
}

// runInSlot waits for a free slot and runs f. If ctx ends before that, it returns the
// error of ctx and does not run f.
func (s slots) runInSlot(ctx context.Context, f func()) error {
	select {
	case s <- struct{}{}:
		defer func() { <-s }()
	case <-ctx.Done():
		return ctx.Err()
	}
	f()
	return nil
}
