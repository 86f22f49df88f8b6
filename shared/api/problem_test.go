package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTheTableOfErrors(t *testing.T) {
	t.Parallel()
	w := small(t)
	for id, c := range map[string]struct {
		status int
		after  string
		logged bool
	}{
		"fine":     {200, "", false},
		"faults":   {422, "", false},
		"gone":     {404, "", false},
		"conflict": {409, "", false},
		"away":     {503, "30", true},
		"later":    {503, "2", true},
		"slow":     {503, "30", true},
		"own":      {500, "", true},
	} {
		t.Run(id, func(t *testing.T) {
			w := small(t)
			got := w.do("GET", "/things/"+id, "", "")
			if got.status != c.status || got.header.Get("Retry-After") != c.after {
				t.Errorf("%d, Retry-After %q; want %d, %q", got.status, got.header.Get("Retry-After"), c.status, c.after)
			}
			if strings.Contains(got.text, "secret") {
				t.Errorf("our own text comes out: %s", got.text)
			}
			if logged := strings.Contains(w.log.String(), "a request failed"); logged != c.logged {
				t.Errorf("logged: %v, want %v", logged, c.logged)
			}
		})
	}
	if got := w.do("GET", "/things/faults", "", ""); cmp.Diff(got.Errors, []push.Fault{{Location: "body.a", Message: "is odd"}, {Location: "body.b", Message: "is even"}}) != "" {
		t.Errorf("the faults came out as %s", got.text)
	}
	if got := w.do("GET", "/unwrapped/own", "", ""); got.status != 500 || strings.Contains(got.text, "secret") {
		t.Errorf("an error past the table: %d %s", got.status, got.text)
	}
}

func TestPanicsAreAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	w := small(t)
	for path, logged := range map[string]string{
		"/things/bare":  "panic=*errors.errorString",
		"/things/index": "index out of range",
	} {
		got := w.do("GET", path, "", "")
		if got.status != 500 || strings.Contains(got.text, "secret") || strings.Contains(got.text, "goroutine") {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
		log := w.log.String()
		if !strings.Contains(log, logged) || !strings.Contains(log, "setup_test.go") || strings.Contains(log, "secret") {
			t.Errorf("%s was logged as %s", path, log)
		}
	}
	if got := w.do("GET", "/things/fine", "", ""); got.status != 200 {
		t.Errorf("after panics: %d", got.status)
	}
}

func TestPathsAndMethodsThatAreNot(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/nothing", 404, ""},
		{"POST", "/nothing", 404, ""},
		{"GET", "/things/x/y", 404, ""},
		{"POST", "/things/", 404, ""},
		{"POST", "//things", 404, ""},
		{"GET", "/things/../things/x", 404, ""},
		{"GET", "/docs", 404, ""},
		{"GET", "/schemas/Thing.json", 404, ""},
		{"GET", "/things", 405, "PATCH, POST, PUT"},
		{"DELETE", "/things/x", 405, "GET, HEAD"},
		{"OPTIONS", "/act", 405, "POST"},
		{"HEAD", "/act", 405, "POST"},
		{"POST", "/openapi.json", 405, "GET, HEAD"},
	} {
		got := w.do(c.method, c.path, "", "")
		if got.status != c.status || got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, got.status, got.header.Get("Allow"), c.status, c.allow)
		}
	}
}

func TestEncodedPathsReachTheOperation(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, path := range []string{"/things/%2E%2E", "/things/a%2Fb", "/things/a%2F%2Fb", "/things/%20", "/things/%C3%BC"} {
		if got := w.do("GET", path, "", ""); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
}

func TestACallerThatHasGoneIsNoError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j := &journal{}
	err := api.Answer(ctx, slog.New(slog.NewTextHandler(j, nil)), context.Canceled)
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != 503 || strings.Contains(j.String(), "level=ERROR") {
		t.Errorf("%v was logged as %s", err, j)
	}
}

func TestParametersAreStrict(t *testing.T) {
	t.Parallel()
	w := small(t)
	for query, want := range map[string][]string{
		"?size=0": {"query.size"}, "?size=6": {"query.size"}, "?size=x": {"query.size"},
		"?Size=1": {"query.Size"}, "?size=1&page=2": {"query.page"},
	} {
		got := w.do("GET", "/things/x"+query, "", "")
		if got.status != 422 {
			t.Errorf("%s: %d %s", query, got.status, got.text)
		}
		if diff := cmp.Diff(want, got.places()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, path := range []string{"/things/fine", "/things/own", "/things/bare", "/nothing", "/openapi.json"} {
		got := w.do("GET", path, "", "")
		if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, got.header)
		}
		if got.header.Get("Link") != "" || strings.Contains(got.text, "$schema") {
			t.Errorf("%s points at a schema: %v %s", path, got.header, got.text)
		}
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	got := small(t).do("GET", "/openapi.json", "", "")
	var doc struct {
		OpenAPI string `json:"openapi"`
	}
	var pretty bytes.Buffer
	if err := json.Unmarshal([]byte(got.text), &doc); err != nil || doc.OpenAPI[:4] != "3.1." {
		t.Fatalf("openapi %q, %v", doc.OpenAPI, err)
	}
	if err := json.Indent(&pretty, []byte(got.text), "", "  "); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/openapi.json"
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), strings.TrimSpace(pretty.String())); diff != "" {
		t.Errorf("the document changed; if that is meant, run the test with -update (-want +got):\n%s", diff)
	}
}

// TestAnswersThatHaveBegunAreLeft: what panics in the middle of an answer adds
// nothing to it.
func TestAnswersThatHaveBegunAreLeft(t *testing.T) {
	t.Parallel()
	a := api.New("test", slog.New(slog.DiscardHandler))
	huma.Register(a, huma.Operation{Method: http.MethodGet, Path: "/x", OperationID: "x"}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			ctx.SetStatus(http.StatusOK)
			_, _ = ctx.BodyWriter().Write([]byte("half"))
			panic("in the middle")
		}}, nil
	})
	w := served(t, a)
	if got := w.do("GET", "/x", "", ""); got.status != 200 || got.text != "half" {
		t.Errorf("%d %q", got.status, got.text)
	}
}
