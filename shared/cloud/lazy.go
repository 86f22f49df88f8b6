package cloud

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
)

// Lazy returns a handler that is built at the first request, so that the process of a
// function starts without waiting for its clients. If build fails, the error is logged,
// the request is answered 503, and the next request tries again.
func Lazy(build func(context.Context) (http.Handler, error)) http.HandlerFunc {
	var mu sync.Mutex // guards made; held during build, so that requests build only one handler
	var made http.Handler
	get := func() (http.Handler, error) {
		mu.Lock()
		defer mu.Unlock()
		if made != nil {
			return made, nil
		}
		// Not the context of the request: later requests use the clients, too.
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
