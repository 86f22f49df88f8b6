package console

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"

	"carillon.example/shared/push"
)

const (
	looker = push.Caller("anna@shop.example")
	sender = push.Caller("boss@shop.example")
)

// A harness is a console in front of a server that takes everything.
type harness struct {
	t       *testing.T
	console http.Handler

	mu     sync.Mutex // guards passed
	passed []*http.Request
	bodies []string
	answer http.HandlerFunc // nil: 200 {}
}

// newHarness makes a console at which who sits; change may change its dependencies.
func newHarness(t *testing.T, who push.Caller, change func(*Deps)) *harness {
	t.Helper()
	w := &harness{t: t}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := Service{URL: u, Tokens: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "of-the-console"})}
	d := Deps{
		Identity: Fixed(who), Roles: Roles{Look: []string{"@shop.example"}, Send: []string{string(sender)}},
		Mailings: s, Customers: s, Project: "demo", Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&d)
	}
	w.console = New(d)
	return w
}

// ServeHTTP is the function behind the console.
func (w *harness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a body that breaks off is compared as it is
	w.mu.Lock()
	w.passed, w.bodies = append(w.passed, r), append(w.bodies, string(body))
	w.mu.Unlock()
	if w.answer != nil {
		w.answer(out, r)
		return
	}
	out.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(out, "{}")
}

// fromPage are the headers of a request of the console's page.
var fromPage = []string{"Sec-Fetch-Site", "same-origin", changeHeader, "1", "Origin", "https://console.example"}

// ask sends a request with headers.
func (w *harness) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, "https://console.example"+path, bytes.NewReader([]byte(body)))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	out := httptest.NewRecorder()
	w.console.ServeHTTP(out, r)
	return out
}

// filled returns the path of an operation with ids.
func filled(o operation) string {
	return strings.NewReplacer("{id}", "m1", "{customer}", "c1").Replace(o.path)
}
