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
	// readTimeout and writeTimeout limit operations on one document. Without them a
	// slow dependency would make callers wait, and occupy instances, for the whole
	// timeout of the function. A write includes the proof of a payload, which takes at
	// most 15 s.
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	// maxMargin is the longest time before the timeout of the function that is left for
	// writing the answer.
	maxMargin = 5 * time.Second
)

const longKey = "long"

// WithLongDeadline returns op with the whole timeout of the function as its deadline. It
// is for operations on many documents.
func WithLongDeadline(op huma.Operation) huma.Operation { return withMetadata(op, longKey, true) }

// withMetadata returns op with one more entry of metadata. It copies the map, which op
// may share with others.
func withMetadata(op huma.Operation, key string, value any) huma.Operation {
	meta := maps.Clone(op.Metadata)
	if meta == nil {
		meta = map[string]any{}
	}
	meta[key] = value
	op.Metadata = meta
	return op
}

// Within returns ctx with a deadline shortly before the timeout of the function, so that
// the function can still answer before the platform ends the request. A timeout of 0 is
// DefaultTimeout.
func Within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return context.WithTimeout(ctx, timeout-min(maxMargin, timeout/10))
}

// withOperationDeadline returns ctx with the deadline of op. The caller must call the
// function it returns.
func withOperationDeadline(ctx context.Context, op *huma.Operation) (context.Context, context.CancelFunc) {
	switch {
	case op == nil || op.Metadata[longKey] == true:
		return context.WithCancel(ctx)
	case op.Method == http.MethodGet:
		return context.WithTimeout(ctx, readTimeout)
	}
	return context.WithTimeout(ctx, writeTimeout)
}
