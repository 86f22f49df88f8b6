package api

import (
	"context"
	"runtime"
)

// largeBody is the size in bytes from which a body is decoded only where a slot
// is free. Registrations and most other requests are smaller.
const largeBody = 16 << 10

// slots bounds how many large bodies are decoded at once, so that those of one
// caller leave the processor to the requests of others.
type slots chan struct{}

// maxReceiving is how many large bodies arrive at once: each takes its memory, 16 MiB
// at most. The others wait, and their callers with them.
const maxReceiving = 4

func newSlots() slots { return make(slots, max(1, runtime.GOMAXPROCS(0)/2)) }

// Decode runs f, which decodes a body of that many bytes. A large body waits for
// a slot first; the error is that of ctx, and then f has not run.
func (a *API) Decode(ctx context.Context, size int, f func()) error {
	if size >= largeBody {
		return a.slots.with(ctx, f)
	}
	f()
	return nil
}

// with runs f in a slot, or answers the error of ctx.
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
