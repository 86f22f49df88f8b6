package cloud

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
)

// Lazy returns a handler that calls build at the first request, so that the process of a
// function starts without waiting for its clients. If build fails, the handler logs the
// error and answers 503, and the next request calls build again.
func Lazy(build func(context.Context) (http.Handler, error)) http.HandlerFunc {
	var mu sync.Mutex // guards made; held during build, so that requests build only one handler
	var made http.Handler

	get := func() (http.Handler, error) {
		mu.Lock()
		defer mu.Unlock()
		if made != nil {
			return made, nil
		}

		// Later requests use the clients, too, so they must not end with this request's
		// context.
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
