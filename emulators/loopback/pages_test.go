package loopback_test

import (
	"net/http"
	"testing"

	"carillon.example/emulators/loopback"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// TestLocalPagesMayCall checks which pages may call a server that is shared with the pages
// of this machine: the answer to the preflight request, and to the request itself.
func TestLocalPagesMayCall(t *testing.T) {
	t.Parallel()
	site := testcloud.Serve(t, loopback.ShareWithLocalPages(served))
	for name, c := range map[string]struct {
		origin  string // "": no header
		allowed bool
		want    int // status of the request itself
	}{
		"a program":                       {"", false, 204},
		"localhost":                       {"http://localhost:3000", true, 204},
		"localhost without a port":        {"http://localhost", true, 204},
		"localhost with TLS":              {"https://localhost:5173", true, 204},
		"127.0.0.1":                       {"http://127.0.0.1:8000", true, 204},
		"IPv6":                            {"http://[::1]:8000", true, 204},
		"another site":                    {"http://evil.example", false, 403},
		"another machine":                 {"http://192.0.2.7:3000", false, 403},
		"another address of this machine": {"http://127.0.0.2:3000", false, 403},
		"a name that begins so":           {"http://localhost.evil.example", false, 403},
		"a name that ends so":             {"http://evil-localhost:3000", false, 403},
		"a name below localhost":          {"http://evil.localhost:3000", false, 403},
		"a user named localhost":          {"http://localhost@evil.example", false, 403},
		"a page without an origin":        {"null", false, 403},
		"another scheme":                  {"chrome-extension://localhost", false, 403},
		"a path":                          {"http://localhost:3000/evil", false, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			readable := ""
			if c.allowed {
				readable = c.origin
			}
			ask := func(method string, header ...string) testcloud.Answer {
				if c.origin != "" {
					header = append(header, "Origin", c.origin, "Sec-Fetch-Site", "cross-site")
				}
				return site.Ask(method, "/", "", header...)
			}

			preflight := ask(http.MethodOptions, "Access-Control-Request-Method", "DELETE", "Access-Control-Request-Headers", "content-type,x-client-version",
				"Access-Control-Request-Private-Network", "true")
			check.Equal(t, preflight.Code, 204, "status of the preflight request")
			check.Equal(t, preflight.Header.Get("Access-Control-Allow-Origin"), readable, "origin that may call")
			check.Equal(t, preflight.Header.Get("Access-Control-Allow-Credentials") == "true", c.allowed, "that its requests may have credentials")
			check.Equal(t, preflight.Header.Get("Access-Control-Allow-Headers") == "content-type,x-client-version", c.allowed, "that it may send its headers")
			check.Equal(t, preflight.Header.Get("Access-Control-Allow-Methods") == "GET, HEAD, PUT, PATCH, POST, DELETE", c.allowed, "that it may use every method")
			check.Equal(t, preflight.Header.Get("Access-Control-Allow-Private-Network") == "true", c.allowed, "that it may call a private network")

			for _, method := range []string{http.MethodPost, http.MethodDelete} {
				a := ask(method)
				check.Equal(t, a.Code, c.want, "status of %s", method)
				check.Equal(t, a.Header.Get("Access-Control-Allow-Origin"), readable, "origin that may read the answer to %s", method)
				check.Equal(t, a.Header.Get("Vary"), "Origin", "Vary of the answer to %s", method)
				check.Equal(t, a.Header.Get("Access-Control-Allow-Credentials") == "true", c.allowed, "that %s may have credentials", method)
			}
			check.Equal(t, ask(http.MethodGet).Header.Get("Access-Control-Allow-Origin"), readable, "origin that may read the answer to GET")
		})
	}
}

// TestLocalPagesNeedOurName checks that a page of this machine, too, gets nothing under a
// name that may belong to another site.
func TestLocalPagesNeedOurName(t *testing.T) {
	t.Parallel()
	site := testcloud.Serve(t, loopback.ShareWithLocalPages(served))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	r.Header.Set("Origin", "http://localhost:3000")
	a := site.Send(r)
	check.Equal(t, a.Code, 421, "status")
	check.Equal(t, a.Header.Get("Access-Control-Allow-Origin"), "", "origin that may read the answer")
}
