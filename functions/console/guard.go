package console

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// policy is the Content-Security-Policy. It lets the page load its own scripts and
// styles and connect to its own origin, and nothing else. Trusted types make the browser
// refuse to interpret text as HTML, whatever the scripts do.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// changeHeader is in every request of the page that changes something. A page of another
// site cannot set it without asking first, and the console never allows that.
const changeHeader = "X-Carillon-Console"

// setHeaders sets the headers that protect the page.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// forged returns why a request under /v1/ cannot come from the console's own page, "" if
// it can. Sec-Fetch-Site is set by the browser. It is missing in a page without TLS that
// is not on this machine, so a name that was rebound to this machine's address is
// refused, too.
func forged(r *http.Request, least Role) string {
	if r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		return "only the console's own page may call: the request has no Sec-Fetch-Site: same-origin"
	}
	if least == RoleLook && r.Method == http.MethodGet {
		return ""
	}

	if r.Header.Get(changeHeader) == "" {
		return "only the console's own page may change something: the request has no " + changeHeader
	}
	if origin := r.Header.Get("Origin"); origin != "" && !ownOrigin(origin, r.Host) {
		return "only the console's own page may change something: the request has another Origin"
	}
	return ""
}

// ownOrigin reports whether an origin is that of the console: its host, or this machine,
// where gcloud run services proxy listens.
func ownOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if u.Host == host || u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}
