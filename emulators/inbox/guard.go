package inbox

import (
	"net/http"

	"carillon.example/emulators/loopback"
)

// guard accepts only requests of the page itself, under host names of this
// machine. It keeps pages of other sites from reading what phones received.
func guard(next http.Handler, hosts []string) http.Handler {
	protected := loopback.SameOrigin(next, "only the page of the inbox may send requests that change something")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !loopback.Ours(r.Host, hosts...) {
			http.Error(w, "the inbox is not served under this name", http.StatusMisdirectedRequest)
			return
		}
		protected.ServeHTTP(w, r)
	})
}
