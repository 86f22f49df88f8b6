package loopback_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"carillon.example/emulators/loopback"
	"carillon.example/emulators/testcloud"
)

var served = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

// TestWhoIsLetIn: programs whatever they ask, pages of another origin to nothing
// that changes something, and no page under a name that leads here.
func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	site := testcloud.Serve(t, loopback.Protect(served))
	for name, c := range map[string]struct {
		method, host string
		head         []string
		want         int
	}{
		"a program":                    {"POST", "", nil, 204},
		"by localhost":                 {"GET", "localhost:1", nil, 204},
		"by a name below localhost":    {"GET", "a.localhost:1", nil, 204},
		"by an IPv6 address":           {"GET", "[::1]:1", nil, 204},
		"by a container's name":        {"POST", "carillon:9599", nil, 204},
		"by the host's from inside":    {"POST", "host.docker.internal:9599", nil, 204},
		"led here instead of Google":   {"POST", "fcm.googleapis.com", nil, 204},
		"a rebound name reads":         {"GET", "evil.example:80", nil, 421},
		"a rebound name writes":        {"POST", "evil.example", nil, 421},
		"a name that looks like ours":  {"GET", "localhost.example", nil, 421},
		"and like Google's":            {"GET", "googleapis.com.example", nil, 421},
		"a page of its own":            {"POST", "", []string{"Sec-Fetch-Site", "same-origin"}, 204},
		"a page of another site":       {"POST", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a page of another port":       {"POST", "", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"an old browser":               {"DELETE", "", []string{"Origin", "http://evil.example"}, 403},
		"a page without an origin":     {"POST", "", []string{"Origin", "null"}, 403},
		"a page of another site looks": {"GET", "", []string{"Sec-Fetch-Site", "cross-site"}, 204},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), c.method, site.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = c.host
			for i := 0; i < len(c.head); i += 2 {
				r.Header.Set(c.head[i], c.head[i+1])
			}
			a := site.Send(r)
			if a.Code != c.want {
				t.Errorf("the status is %d, want %d: %v", a.Code, c.want, a)
			}
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("origin %q may read the response, want none", got)
			}
		})
	}
}

// TestAServerForOthersHasAnyName: only what comes over the loopback interface is
// held to names.
func TestAServerForOthersHasAnyName(t *testing.T) {
	t.Parallel()
	h := loopback.Hosts(served)
	for name, c := range map[string]struct {
		ip   string
		want int
	}{"over loopback": {"127.0.0.1", 421}, "over loopback, IPv6": {"::1", 421}, "over a network": {"192.0.2.7", 204}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Host = "laptop.example"
			addr := &net.TCPAddr{IP: net.ParseIP(c.ip), Port: 9599}
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr)))
			if w.Code != c.want {
				t.Errorf("answered %d, want %d", w.Code, c.want)
			}
		})
	}
}
