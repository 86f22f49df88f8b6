package cloud

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
)

// Lazy is a handler made at the first request: a function's process starts
// without waiting for its clients. A success is kept, a failure is logged,
// answered 503 and forgotten, so that the next request tries again.
func Lazy(build func(context.Context) (http.Handler, error)) http.HandlerFunc {
	var mu sync.Mutex
	var made http.Handler
	get := func() (http.Handler, error) {
		mu.Lock()
		defer mu.Unlock()
		if made != nil {
			return made, nil
		}
		// The clients outlive the request that made them.
		h, err := build(context.Background())
		if err == nil {
			made = h
		}
		return h, err
	}

	return func(w http.ResponseWriter, r *http.Request) {
		h, err := get()
		if err != nil {
			slog.ErrorContext(r.Context(), "the function cannot start", "error", err)
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "10")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"title":"Service Unavailable","status":503,"detail":"the function cannot start; its log says why"}`))
			return
		}
		h.ServeHTTP(w, r)
	}
}
