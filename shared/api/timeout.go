package api

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	// DefaultTimeout is a function's own timeout where none is named.
	DefaultTimeout = 60 * time.Second
	// readTimeout and writeTimeout bound operations on one thing, so that callers
	// do not wait, and instances do not fill, for as long as the function may run.
	// A write includes FCM's proof of a payload, which takes at most 15 s.
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	// maxMargin is what is left of the function's timeout to write an answer.
	maxMargin = 5 * time.Second
)

const longKey = "long"

// WithLongDeadline marks an operation on many things: it may take all of the function's
// timeout.
func WithLongDeadline(op huma.Operation) huma.Operation { return with(op, longKey, true) }

// with is op with one more entry of metadata.
func with(op huma.Operation, key string, value any) huma.Operation {
	meta := maps.Clone(op.Metadata)
	if meta == nil {
		meta = map[string]any{}
	}
	meta[key] = value
	op.Metadata = meta
	return op
}

// Within is ctx with the time by which a function of that timeout has to have
// done its work, so that the answer is its own and not the platform's. 0 is
// DefaultTimeout.
func Within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return context.WithTimeout(ctx, timeout-min(maxMargin, timeout/10))
}

// operating is ctx with the time by which op has to be done.
func operating(ctx context.Context, op *huma.Operation) (context.Context, context.CancelFunc) {
	switch {
	case op == nil || op.Metadata[longKey] == true:
		return context.WithCancel(ctx)
	case op.Method == http.MethodGet:
		return context.WithTimeout(ctx, readTimeout)
	}
	return context.WithTimeout(ctx, writeTimeout)
}
