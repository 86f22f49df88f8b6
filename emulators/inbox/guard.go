package inbox

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard lets in what the page itself asks. A page of another site can make the
// browser send requests here, and a name of its own may lead to this address
// (DNS rebinding); neither shall read what phones were sent, or send anything.
func guard(next http.Handler, hosts []string) http.Handler {
	site := http.NewCrossOriginProtection()
	site.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "requests that change something come from the inbox's own page", http.StatusForbidden)
	}))
	protected := site.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !ours(r.Host, hosts) {
			http.Error(w, "the inbox is not served under this name", http.StatusMisdirectedRequest)
			return
		}
		protected.ServeHTTP(w, r)
	})
}

// ours reports whether a Host header can only have come from somebody who
// meant this machine: an address, localhost, or a name given in the options. A
// rebound request carries the attacker's name.
func ours(host string, names []string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(names, name)
}
