package loopback

import (
	"net/http"
	"net/url"
)

// ShareWithLocalPages is Protect for servers that pages of this machine may use, whatever
// their port: those whose origin is localhost, 127.0.0.1 or [::1]. A page that somebody
// develops is served there. Pages of other origins are treated as by Protect.
func ShareWithLocalPages(next http.Handler) http.Handler {
	others := SameOrigin(next, "pages of other origins may not call this server")
	return Hosts(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if !isLocalPage(origin) {
			others.ServeHTTP(w, r)
			return
		}

		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true") // Firestore's SDK sends every request with them
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			allowRequest(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// isLocalPage reports whether an Origin header is that of a page of this machine. The
// browser sets the header, and a page cannot change it.
func isLocalPage(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != origin {
		return false
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}

// allowRequest answers a preflight request: it allows what the page asks for. The servers know
// no cookies and no other credentials of a browser, so there is nothing that these, a header
// or a method could give away.
func allowRequest(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, PATCH, POST, DELETE")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	if r.Header.Get("Access-Control-Request-Private-Network") != "" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
}
