package api

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	// DefaultTimeout is the timeout of a function if none is set.
	DefaultTimeout = 60 * time.Second
	// readTimeout and writeTimeout limit operations on one thing, so that callers do
	// not wait, and instances do not fill, for as long as the function may run. A
	// write includes the proof of a payload, which takes at most 15 s.
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	// maxMargin is how much of the timeout of the function is left to write an
	// answer, at most.
	maxMargin = 5 * time.Second
)

const longKey = "long"

// WithLongDeadline marks an operation on many things: it may use the whole timeout of
// the function.
func WithLongDeadline(op huma.Operation) huma.Operation { return with(op, longKey, true) }

// with returns op with one more entry of metadata.
func with(op huma.Operation, key string, value any) huma.Operation {
	meta := maps.Clone(op.Metadata)
	if meta == nil {
		meta = map[string]any{}
	}
	meta[key] = value
	op.Metadata = meta
	return op
}

// Within returns ctx with the deadline for the work of a function with that timeout,
// so that the answer comes from the function and not from the platform. 0 is
// DefaultTimeout.
func Within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return context.WithTimeout(ctx, timeout-min(maxMargin, timeout/10))
}

// operating returns ctx with the deadline of op.
func operating(ctx context.Context, op *huma.Operation) (context.Context, context.CancelFunc) {
	switch {
	case op == nil || op.Metadata[longKey] == true:
		return context.WithCancel(ctx)
	case op.Method == http.MethodGet:
		return context.WithTimeout(ctx, readTimeout)
	}
	return context.WithTimeout(ctx, writeTimeout)
}
