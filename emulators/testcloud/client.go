package testcloud

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A Client sends requests of a test to an HTTP server.
type Client struct {
	URL string
	t   testing.TB
}

// Serve serves a handler on a real server until the test ends.
func Serve(t testing.TB, h http.Handler) *Client {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return At(t, s.URL)
}

// At returns a client of a server that is running already.
func At(t testing.TB, url string) *Client { return &Client{url, t} }

// An Answer is the answer to a request.
type Answer struct {
	Code   int
	Header http.Header
	Body   string
	Problem
	t testing.TB
}

// A Problem is an error answer.
type Problem struct {
	Title, Detail string
	Status        int
	Errors        []Fault
}

// A Fault is one fault, and its place.
type Fault struct{ Location, Message string }

// transport is a transport of its own, because a test may redirect
// http.DefaultTransport. Redirects are not followed.
var transport = &http.Transport{ResponseHeaderTimeout: time.Minute}

// Ask sends a request with headers as pairs. A body is JSON, unless they have another
// Content-Type, or "" for none.
func (s *Client) Ask(method, path, body string, header ...string) Answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}

	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	switch kind, named := r.Header["Content-Type"]; {
	case named && kind[0] == "":
		r.Header.Del("Content-Type")
	case !named && body != "":
		r.Header.Set("Content-Type", "application/json")
	}

	return s.Send(r)
}

// Send sends a request. An error answer must be problem+json with the same status as
// the answer.
func (s *Client) Send(r *http.Request) Answer {
	s.t.Helper()
	res, err := transport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}

	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}

	a := Answer{Code: res.StatusCode, Header: res.Header, Body: string(b), t: s.t}
	if a.Code < 300 {
		return a
	}
	if kind := a.Header.Get("Content-Type"); kind != "application/problem+json" {
		s.t.Errorf("%s %s: %d has the content type %q, want application/problem+json", r.Method, r.URL.Path, a.Code, kind)
	}
	if r.Method == http.MethodHead {
		return a
	}
	if err := json.Unmarshal(b, &a.Problem); err != nil {
		s.t.Errorf("%s %s: the body of %d is not a problem: %v: %s", r.Method, r.URL.Path, a.Code, err, b)
	}
	if a.Status != a.Code {
		s.t.Errorf("%s %s: the problem has the status %d, want that of the answer, %d", r.Method, r.URL.Path, a.Status, a.Code)
	}
	if want := http.StatusText(a.Code); a.Title != want {
		s.t.Errorf("%s %s: the problem has the title %q, want %q", r.Method, r.URL.Path, a.Title, want)
	}

	return a
}

// Places returns the places of the faults in an answer.
func (a Answer) Places() (out []string) {
	for _, f := range a.Errors {
		out = append(out, f.Location)
	}
	return out
}

func (a Answer) String() string { return fmt.Sprintf("%d %v %s", a.Code, a.Header, a.Body) }

// Decode decodes an answer that must have that status.
func Decode[T any](a Answer, code int) (out T) {
	a.t.Helper()
	if a.Code != code {
		a.t.Fatalf("%d %s, want %d", a.Code, a.Body, code)
	}
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	return out
}
