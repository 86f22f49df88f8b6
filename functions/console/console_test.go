package console

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"carillon.example/shared/push"
)

// changes are the operations that change something, as the APIs have them. The list is
// written by hand, so that an operation with the wrong role fails.
var changes = []string{
	"POST /v1/mailings", "POST /v1/mailings/{id}/pause", "POST /v1/mailings/{id}/resume", "POST /v1/mailings/{id}/cancel",
	"POST /v1/mailings/{id}/unflag", "POST /v1/mailings/{id}/flag-held", "POST /v1/mailings/{id}/drop-held", "POST /v1/messages", "DELETE /v1/customers/{customer}", "PUT /v1/settings",
}

// TestOperationsThatChangeNeedSend checks the table of operations against the list.
func TestOperationsThatChangeNeedSend(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range operations {
		if o.role == RoleSend {
			got = append(got, o.method+" "+o.path)
		} else if o.method != http.MethodGet && o.path != "/v1/mailings/preview" {
			t.Errorf("%s %s needs only the role %q", o.method, o.path, o.role)
		}
	}
	if diff := cmp.Diff(changes, got); diff != "" {
		t.Errorf("operations that need send (-want +got):\n%s", diff)
	}
}

// TestEveryOperationByRole tries each operation as each kind of person, and looks whether
// it reached the function.
func TestEveryOperationByRole(t *testing.T) {
	t.Parallel()
	for who, may := range map[push.Caller]Role{looker: RoleLook, sender: RoleSend, "eve@other.example": RoleNone, "108123": RoleNone, "": RoleNone} {
		t.Run(string(who), func(t *testing.T) {
			t.Parallel()
			for _, o := range operations {
				w := newHarness(t, who, nil)
				a := w.ask(o.method, filled(o), "{}", fromPage...)
				want, reached := http.StatusForbidden, 0
				if may == RoleSend || may == RoleLook && o.role == RoleLook {
					want, reached = http.StatusOK, 1
				}
				if a.Code != want {
					t.Errorf("%s %s answered %d, want %d", o.method, o.path, a.Code, want)
				}
				if len(w.passed) != reached {
					t.Errorf("%s %s reached the function %d times, want %d", o.method, o.path, len(w.passed), reached)
				}
			}
		})
	}
}

// TestPageByRole checks who gets the page, and what the page gets of its role.
func TestPageByRole(t *testing.T) {
	t.Parallel()
	for who, want := range map[push.Caller]string{
		looker: `{"email":"anna@shop.example","project":"demo","role":"look"}`, sender: `{"email":"boss@shop.example","project":"demo","role":"send"}`, "eve@other.example": "",
	} {
		w := newHarness(t, who, nil)
		page, answer := w.ask("GET", "/", ""), w.ask("GET", "/console.json", "")
		status := http.StatusOK
		if want == "" {
			status = http.StatusForbidden
		}
		if page.Code != status {
			t.Errorf("%s: the page answered %d, want %d", who, page.Code, status)
		}
		if got := strings.TrimSpace(answer.Body.String()); want != "" && got != want {
			t.Errorf("console.json of %s is %s, want %s", who, got, want)
		}
	}
}

// TestForgedRequests checks that no request gets through that a page of another site, or
// a name that was rebound to this address, can send.
func TestForgedRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path string
		header       []string
		want         int
	}{
		"own page reads":              {"GET", "/v1/mailings", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		"other site reads":            {"GET", "/v1/mailings", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"sibling reads":               {"GET", "/v1/mailings", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"address bar reads":           {"GET", "/v1/mailings", []string{"Sec-Fetch-Site", "none"}, 403},
		"rebound name reads":          {"GET", "/v1/mailings", nil, 403},
		"own page changes":            {"POST", "/v1/mailings", fromPage, 200},
		"no header of the page":       {"POST", "/v1/mailings", []string{"Sec-Fetch-Site", "same-origin"}, 403},
		"other site changes":          {"POST", "/v1/mailings", []string{"Sec-Fetch-Site", "cross-site", changeHeader, "1"}, 403},
		"other origin":                {"POST", "/v1/mailings", []string{"Sec-Fetch-Site", "same-origin", changeHeader, "1", "Origin", "https://evil.example"}, 403},
		"no origin at all":            {"POST", "/v1/mailings", []string{"Sec-Fetch-Site", "same-origin", changeHeader, "1", "Origin", "null"}, 403},
		"preview without the header":  {"POST", "/v1/mailings/preview", []string{"Sec-Fetch-Site", "same-origin"}, 403},
		"through gcloud's proxy":      {"POST", "/v1/mailings", []string{"Sec-Fetch-Site", "same-origin", changeHeader, "1", "Origin", "http://127.0.0.1:8080"}, 200},
		"through gcloud's proxy, too": {"POST", "/v1/mailings", []string{"Sec-Fetch-Site", "same-origin", changeHeader, "1", "Origin", "http://localhost:8080"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t, sender, nil)
			if a := w.ask(c.method, c.path, "{}", c.header...); a.Code != c.want {
				t.Errorf("answered %d %s, want %d", a.Code, a.Body, c.want)
			}
			if c.want == 403 && len(w.passed) > 0 {
				t.Error("the request reached the function")
			}
		})
	}
}

// TestWhatIsPassedOn checks what the function gets, and what the browser gets.
func TestWhatIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newHarness(t, sender, nil)
	w.answer = func(out http.ResponseWriter, _ *http.Request) {
		for k, v := range map[string]string{"Content-Type": "application/json", "Location": "/v1/mailings/m1", "Set-Cookie": "a=b", "Access-Control-Allow-Origin": "*", "Content-Security-Policy": "none"} {
			out.Header().Set(k, v)
		}
		out.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(out, `{"id":"m1"}`)
	}
	a := w.ask("POST", "/v1/mailings?x=1", `{"a":1}`, append([]string{
		"Content-Type", "application/json", "Idempotency-Key", "k1", "Cookie", "iap=secret", "Authorization", "Bearer person", "X-Serverless-Authorization", "Bearer person",
		"X-Carillon-On-Behalf-Of", "ceo@shop.example", "X-Goog-Authenticated-User-Email", "ceo@shop.example", "X-Forwarded-For", "1.2.3.4", "X-Request-Id", "r1",
	}, fromPage...)...)

	got := w.passed[0]
	want := http.Header{
		"Content-Type": {"application/json"}, "Idempotency-Key": {"k1"}, "Authorization": {"Bearer of-the-console"}, "X-Carillon-On-Behalf-Of": {string(sender)},
		"X-Request-Id": {"r1"}, "User-Agent": {"carillon-console"}, "Content-Length": {"7"}, "Accept-Encoding": {"gzip"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("headers of the function (-want +got):\n%s", diff)
	}
	if got.URL.String() != "/v1/mailings?x=1" || w.bodies[0] != `{"a":1}` {
		t.Errorf("the function got %s with %s", got.URL, w.bodies[0])
	}
	if a.Code != http.StatusAccepted || a.Body.String() != `{"id":"m1"}` || a.Header().Get("Location") != "/v1/mailings/m1" {
		t.Errorf("the browser got %d %s, %v", a.Code, a.Body, a.Header())
	}
	if v := a.Header().Values("Content-Security-Policy"); len(v) != 1 || v[0] != policy || a.Header().Get("Set-Cookie") != "" || a.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers of the function reached the browser: %v", a.Header())
	}
}

// TestIDsStayAsTheyAre checks that an encoded id reaches the function as it was sent.
func TestIDsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newHarness(t, looker, nil)
	for _, p := range []string{"/v1/customers/a%2Fb%3Fc", "/v1/customers/%2E%2E%2Fmailings", "/v1/customers/%C3%A4", "/v1/customers/a%20b/messages?pageToken=x%2By"} {
		t.Run(p, func(t *testing.T) {
			w.passed = nil
			if a := w.ask("GET", p, "", fromPage...); a.Code != 200 || len(w.passed) != 1 || w.passed[0].RequestURI != p {
				t.Errorf("%s answered %d, and reached the function as %v", p, a.Code, w.passed)
			}
		})
	}
}

// TestNothingElseIsPassedOn: paths and methods that are in no row of the table.
func TestNothingElseIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newHarness(t, sender, nil)
	for _, c := range []string{
		"POST /v1/messages:batch", "POST /v1/imports", "GET /v1/exports/availability", "PATCH /v1/customers/c1", "POST /v1/customers/c1/tokens", "DELETE /v1/customers/c1/tokens/t1",
		"POST /v1/events", "GET /openapi.json", "PUT /v1/mailings/m1", "GET /v1/customers/../mailings", "GET /v1//mailings", "POST /", "OPTIONS /v1/mailings",
	} {
		t.Run(c, func(t *testing.T) {
			method, path, _ := strings.Cut(c, " ")
			if a := w.ask(method, path, "", fromPage...); a.Code != 404 && a.Code != 405 {
				t.Errorf("%s answered %d", c, a.Code)
			}
		})
	}
	if len(w.passed) != 0 {
		t.Errorf("%d requests reached the function", len(w.passed))
	}
}

// TestProtectingHeaders checks the headers of the page and of a refusal.
func TestProtectingHeaders(t *testing.T) {
	t.Parallel()
	w := newHarness(t, looker, nil)
	for _, path := range []string{"/", "/console.json", "/v1/mailings", "/v1/nowhere"} {
		t.Run(path, func(t *testing.T) {
			h := w.ask("GET", path, "").Header()
			for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
				if got := h.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
		})
	}
}

// TestTrouble: bodies that are too large, and functions and tokens out of reach.
func TestTrouble(t *testing.T) {
	t.Parallel()
	w := newHarness(t, sender, nil)
	if a := w.ask("POST", "/v1/mailings", strings.Repeat("x", MaxBody+1), fromPage...); a.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d %s", a.Code, a.Body)
	}
	gone := newHarness(t, sender, func(d *Deps) { d.Mailings.URL = &url.URL{Scheme: "http", Host: "127.0.0.1:1"} })
	if a := gone.ask("GET", "/v1/mailings", "", fromPage...); a.Code != http.StatusBadGateway || strings.Contains(a.Body.String(), "127.0.0.1") {
		t.Errorf("a function out of reach: %d %s", a.Code, a.Body)
	}
	mute := newHarness(t, sender, func(d *Deps) { d.Mailings.Tokens = noTokens{} })
	if a := mute.ask("GET", "/v1/mailings", "", fromPage...); a.Code != http.StatusServiceUnavailable || strings.Contains(a.Body.String(), "metadata") {
		t.Errorf("no ID token: %d %s", a.Code, a.Body)
	}
}

type noTokens struct{}

func (noTokens) Token() (*oauth2.Token, error) { return nil, errors.New("metadata server is away") }

// TestRecipientsAreSaved checks that the browser saves the stream as a file.
func TestRecipientsAreSaved(t *testing.T) {
	t.Parallel()
	w := newHarness(t, looker, nil)
	a := w.ask("GET", "/v1/mailings/m1/recipients", "", "Sec-Fetch-Site", "same-origin")
	if got := a.Header().Get("Content-Disposition"); got != `attachment; filename="recipients.ndjson"` {
		t.Errorf("Content-Disposition is %q", got)
	}
}
