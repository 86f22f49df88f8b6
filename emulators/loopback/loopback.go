// Package loopback protects HTTP servers without authentication on a developer's machine
// against web pages in the developer's browser. A page of another site can make the
// browser send requests to the server (cross-site request forgery). A host name of the
// site can resolve to the address of the server (DNS rebinding), so that the browser
// treats the server as a part of that site.
//
// Programs that are not browsers are not affected. Servers that serve only gRPC need no
// protection, because a browser does not open HTTP/2 connections without TLS.
package loopback

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Protect combines Hosts and SameOrigin: pages of other origins, also of other ports of
// this machine, cannot change anything. They cannot read anything either, because no
// response allows another origin to read it.
func Protect(next http.Handler) http.Handler {
	return Hosts(SameOrigin(next, "pages of other origins may not call this server"))
}

// SameOrigin answers 403, with a detail, if a page of another origin sends a request
// with a method that can change something.
func SameOrigin(next http.Handler, detail string) http.Handler {
	site := http.NewCrossOriginProtection()
	site.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusForbidden, detail)
	}))
	return site.Handler(next)
}

// Hosts answers 421 if a request came over the loopback interface and Ours does not
// accept its Host header. It accepts any Host header over other interfaces: that server
// was opened to other machines on purpose, and they may use any name for it.
func Hosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isLocal(r) && r.Host != "" && !Ours(r.Host) {
			writeProblem(w, http.StatusMisdirectedRequest, "this server is not reached under this name: use localhost or its address")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal reports whether a request came over the loopback interface.
func isLocal(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// Ours reports whether a Host header names this machine or Google: an IP address, a name
// that other sites cannot own, or one of names. After DNS rebinding, the header has the
// name of the other site.
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

// reserved are the ends of names that other sites cannot own. Names without a dot, as
// containers have, are accepted too. Google's names are in the list because a client
// whose dialer connects to an emulator keeps the name of the service.
var reserved = []string{".localhost", ".internal", ".googleapis.com"}

// writeProblem writes an error response as problem+json.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // an error means that the client has disconnected
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
}
