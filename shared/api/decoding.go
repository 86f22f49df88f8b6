package api

import (
	"context"
	"runtime"
)

// largeBody is the size in bytes from which a body needs a free slot to be decoded.
// Registrations and most other requests are smaller.
const largeBody = 16 << 10

// slots limits how many large bodies are decoded at the same time, so that the
// requests of other callers get the processor.
type slots chan struct{}

// maxReceiving is how many large bodies may arrive at the same time, because each
// takes up to 16 MiB of memory. Others wait.
const maxReceiving = 4

func newSlots() slots { return make(slots, max(1, runtime.GOMAXPROCS(0)/2)) }

// Decode runs f, which decodes a body of that many bytes. A large body waits for a
// slot first. The error is that of ctx; then f has not run.
func (a *API) Decode(ctx context.Context, size int, f func()) error {
	if size >= largeBody {
		return a.slots.with(ctx, f)
	}
	f()
	return nil
}

// with runs f in a slot, or returns the error of ctx.
func (s slots) with(ctx context.Context, f func()) error {
	select {
	case s <- struct{}{}:
		defer func() { <-s }()
	case <-ctx.Done():
		return ctx.Err()
	}
	f()
	return nil
}
