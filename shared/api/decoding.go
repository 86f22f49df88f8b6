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

func newSlots() slots { return make(slots, max(1, runtime.GOMAXPROCS(0)/2)) }

// Decode runs f, which decodes a body of that many bytes. A large body waits for
// a slot first; the error is that of ctx, and then f has not run.
func (a *API) Decode(ctx context.Context, size int, f func()) error {
	if size >= largeBody {
		select {
		case a.slots <- struct{}{}:
			defer func() { <-a.slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f()
	return nil
}
