package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// thing is a body that huma reads; letter one that a form reads.
type thing struct {
	Name  string         `json:"name" maxLength:"10"`
	Count int            `json:"count,omitempty" minimum:"1"`
	Color string         `json:"color,omitempty" enum:"red,blue"`
	Parts []part         `json:"parts,omitempty"`
	Free  map[string]any `json:"free,omitempty"`
}

type part struct {
	Size int `json:"size"`
}

type letter struct {
	To     []string       `json:"to"`
	At     *time.Time     `json:"at,omitempty"`
	Within *push.Duration `json:"within,omitempty" pattern:"^[0-9]+[smh]$" patternDescription:"a duration like 90s"`
	Copies int            `json:"copies,omitempty"`
	Text   string         `json:"text"`
}

func (l *letter) check() (f push.Faults) {
	if len(l.To) == 0 {
		f = append(f, push.Fault{Location: "body.to", Message: "names nobody"})
	}
	if l.Text == "" {
		f = append(f, push.Fault{Location: "body.text", Message: "is empty"})
	}
	return f
}

type thingInput struct{ Body thing }

type letterInput struct{ Body json.RawMessage }

type linesInput struct {
	RawBody []byte `contentType:"application/x-ndjson"`
}

type idInput struct {
	ID   string `path:"id" maxLength:"20"`
	Size int    `query:"size" minimum:"1" maximum:"5" default:"1"`
}

type output struct {
	Body struct {
		OK string `json:"ok"`
	}
}

// faulty answers each id with the error of its name.
func faulty(_ context.Context, in *idInput) (*output, error) {
	switch in.ID {
	case "faults":
		return nil, push.Faults{{Location: "body.a", Message: "is odd"}, {Location: "body.b", Message: "is even"}}
	case "gone":
		return nil, &push.NotFound{What: "thing", ID: in.ID}
	case "conflict":
		return nil, &push.Conflict{Why: "it is not so"}
	case "away":
		return nil, &push.Unavailable{Err: errors.New("secret address")}
	case "later":
		return nil, &push.Unavailable{RetryAfter: 1500 * time.Millisecond, Err: errors.New("secret address")}
	case "slow":
		return nil, context.DeadlineExceeded
	case "own":
		return nil, errors.New("secret address")
	case "bare":
		panic(errors.New("secret address"))
	case "index":
		return nil, push.Faults{push.Faults{}[len(in.ID)]}
	}
	return &output{}, nil
}

// A world is a small API behind a real server.
type world struct {
	*httptest.Server
	t   testing.TB
	log *journal
}

type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func small(t testing.TB) *world {
	t.Helper()
	j := &journal{}
	log := slog.New(slog.NewTextHandler(j, nil))
	a := api.New("small", log)
	op := func(method, path, id string) huma.Operation {
		return huma.Operation{Method: method, Path: path, OperationID: id, DefaultStatus: http.StatusOK, MaxBodyBytes: 1 << 10, Errors: []int{400, 422}}
	}
	ok := func(context.Context) (*output, error) { return &output{}, nil }
	for _, m := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
		huma.Register(a, op(m, "/things", strings.ToLower(m)), func(ctx context.Context, _ *thingInput) (*output, error) { return ok(ctx) })
	}
	huma.Register(a, op(http.MethodPost, "/panic", "panic"), func(_ context.Context, in *thingInput) (*output, error) { panic(in.Body.Name) })
	form := api.NewForm[letter](a)
	huma.Register(a, form.Takes(op(http.MethodPost, "/letters", "letter")), func(ctx context.Context, in *letterInput) (*output, error) {
		l, faults := form.Read(in.Body)
		if faults = api.Join(faults, l.check()...); len(faults) > 0 {
			return nil, api.Answer(ctx, log, faults)
		}
		return ok(ctx)
	})
	huma.Register(a, op(http.MethodPost, "/lines", "lines"), func(ctx context.Context, _ *linesInput) (*output, error) { return ok(ctx) })
	huma.Register(a, op(http.MethodPost, "/act", "act"), func(ctx context.Context, _ *struct{}) (*output, error) { return ok(ctx) })
	huma.Register(a, op(http.MethodGet, "/things/{id}", "show"), func(ctx context.Context, in *idInput) (*output, error) {
		out, err := faulty(ctx, in)
		return out, api.Answer(ctx, log, err)
	})
	huma.Register(a, op(http.MethodGet, "/unwrapped/{id}", "unwrapped"), faulty)
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return &world{Server: s, t: t, log: j}
}

type reply struct {
	status int
	header http.Header
	text   string
	api.Problem
}

// do asks; kind is the Content-Type, "" for none. Every answer that is none of
// success has to be a problem.
func (w *world) do(method, path, kind, body string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return w.send(r)
}

func (w *world) send(r *http.Request) reply {
	w.t.Helper()
	// RoundTrip follows no redirect.
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	out := reply{status: res.StatusCode, header: res.Header, text: string(b)}
	if out.status < 300 {
		return out
	}
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		w.t.Errorf("%s %s: %d came as %q", r.Method, r.URL.Path, out.status, got)
	}
	if r.Method == http.MethodHead {
		return out
	}
	if err := json.Unmarshal(b, &out.Problem); err != nil {
		w.t.Errorf("%s %s: %d is no problem: %v: %s", r.Method, r.URL.Path, out.status, err, b)
	}
	if out.Status != out.status || out.Title != http.StatusText(out.status) {
		w.t.Errorf("%s %s: %d calls itself %d %q", r.Method, r.URL.Path, out.status, out.Status, out.Title)
	}
	return out
}

// places are where a reply says that faults are.
func (r reply) places() (out []string) {
	for _, f := range r.Errors {
		out = append(out, f.Location)
	}
	return out
}

// served puts h behind a real server.
func served(t testing.TB, h http.Handler) *world {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &world{Server: s, t: t, log: &journal{}}
}
