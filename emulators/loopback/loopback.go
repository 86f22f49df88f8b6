// Package loopback guards HTTP servers on a person's own machine, where nobody
// is asked who they are, against the pages that this person's browser shows. A
// page of another site can make the browser send requests here (cross-site
// request forgery), and a name of its own may lead to this address (DNS
// rebinding), so that the browser takes the server for a part of that site.
//
// Programs that are no browsers are let in as before. Servers that speak gRPC
// alone need no guard: a browser opens no HTTP/2 connection without TLS.
package loopback

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Doors lets no page of another origin change anything, other ports of this
// machine included, and holds requests to Hosts. No answer names an origin that
// may read it, so that no such page reads anything either.
func Doors(next http.Handler) http.Handler {
	return Hosts(SameOrigin(next, "pages of other origins may not call this server"))
}

// SameOrigin answers 403, with a detail, where a page of another origin asks for
// something else than to read.
func SameOrigin(next http.Handler, detail string) http.Handler {
	site := http.NewCrossOriginProtection()
	site.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, detail)
	}))
	return site.Handler(next)
}

// Hosts answers 421 where a request came over the loopback interface and its
// Host is none of Ours. What came from elsewhere came to a server that was opened
// to others on purpose, under whatever name they have for it.
func Hosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local(r) && r.Host != "" && !Ours(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "this server is not reached under this name: use localhost or its address")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// local reports whether a request came over the loopback interface.
func local(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// Ours reports whether a Host header can only have come from somebody who meant
// this machine, or Google: an address, a name that no stranger can have, or one
// of names. A rebound request carries the stranger's name.
func Ours(host string, names ...string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name != "" && (!strings.Contains(name, ".") || slices.ContainsFunc(reserved, func(end string) bool { return strings.HasSuffix(name, end) }) ||
		slices.Contains(names, name))
}

// reserved are the ends of names that lead only where this machine's owner, or
// Google, wants: besides those without a dot, as containers have. Clients that
// are led to an emulator by their dialer keep the service's name.
var reserved = []string{".localhost", ".internal", ".googleapis.com"}

// refuse answers as problem+json.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // whoever asked has gone
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
}
