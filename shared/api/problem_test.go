package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
)

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
			if got.Code != c.status || got.Header.Get("Retry-After") != c.after {
				t.Errorf("%d, Retry-After %q; want %d, %q", got.Code, got.Header.Get("Retry-After"), c.status, c.after)
			}
			if strings.Contains(got.Body, "secret") {
				t.Errorf("our own text comes out: %s", got.Body)
			}
			log := w.log.String()
			if logged := strings.Contains(log, "a request failed"); logged != c.logged || logged && !strings.Contains(log, "level=ERROR") {
				t.Errorf("logged: %v, want %v, and as an error: %s", logged, c.logged, log)
			}
		})
	}
	if got := w.do("GET", "/things/faults", "", ""); cmp.Diff(got.Errors, []testcloud.Fault{{Location: "body.a", Message: "is odd"}, {Location: "body.b", Message: "is even"}}) != "" {
		t.Errorf("the faults came out as %s", got.Body)
	}
	if got := w.do("GET", "/unwrapped/own", "", ""); got.Code != 500 || strings.Contains(got.Body, "secret") {
		t.Errorf("an error past the table: %d %s", got.Code, got.Body)
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
		if got.Code != 500 || strings.Contains(got.Body, "secret") || strings.Contains(got.Body, "goroutine") {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
		log := w.log.String()
		if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, logged) || !strings.Contains(log, "setup_test.go") || strings.Contains(log, "secret") {
			t.Errorf("%s was logged as %s", path, log)
		}
	}
	if got := w.do("GET", "/things/fine", "", ""); got.Code != 200 {
		t.Errorf("after panics: %d", got.Code)
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
		if got.Code != c.status || got.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, got.Code, got.Header.Get("Allow"), c.status, c.allow)
		}
	}
}

func TestEncodedPathsReachTheOperation(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, path := range []string{"/things/%2E%2E", "/things/a%2Fb", "/things/a%2F%2Fb", "/things/%20", "/things/%C3%BC"} {
		if got := w.do("GET", path, "", ""); got.Code != 200 {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
}

func TestACallerThatHasGoneIsNoError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j := &testcloud.LogBuffer{}
	err := api.ToProblem(ctx, j.Logger(), context.Canceled)
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
		"?size=1&size=2": {"query.size"},
	} {
		got := w.do("GET", "/things/x"+query, "", "")
		if got.Code != 422 {
			t.Errorf("%s: %d %s", query, got.Code, got.Body)
		}
		if diff := cmp.Diff(want, got.Places()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestAQueryThatCannotBeReadIsNotPassedOver(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, query := range []string{"?%zz", "?size=1;size=2", "?size=%"} {
		if got := w.do("GET", "/things/x"+query, "", ""); got.Code != 400 {
			t.Errorf("%s: %d %s", query, got.Code, got.Body)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, path := range []string{"/things/fine", "/things/own", "/things/bare", "/nothing", "/openapi.json"} {
		got := w.do("GET", path, "", "")
		if got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, got.Header)
		}
		if got.Header.Get("Link") != "" || strings.Contains(got.Body, "$schema") {
			t.Errorf("%s points at a schema: %v %s", path, got.Header, got.Body)
		}
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	got := small(t).do("GET", "/openapi.json", "", "")
	doc := testcloud.Decode[struct{ OpenAPI string }](got, http.StatusOK)
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Fatalf("openapi %q", doc.OpenAPI)
	}
	testcloud.Golden(t, "testdata/openapi.json", got.Body)
}

// TestAnswersThatHaveBegunBreakOff: what panics in the middle of an answer adds
// nothing to it, and nobody takes the part for the whole.
func TestAnswersThatHaveBegunBreakOff(t *testing.T) {
	t.Parallel()
	a := api.New("test", slog.New(slog.DiscardHandler), api.Options{})
	huma.Register(a, huma.Operation{Method: http.MethodGet, Path: "/x", OperationID: "x"}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			ctx.SetStatus(http.StatusOK)
			_, _ = ctx.BodyWriter().Write([]byte("half"))
			ctx.BodyWriter().(http.Flusher).Flush()
			panic("in the middle")
		}}, nil
	})
	resp, err := http.Get(testcloud.Serve(t, a).URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(got) != "half" || err == nil {
		t.Errorf("%d %q, %v", resp.StatusCode, got, err)
	}
}

// TestADocumentLeavesItsExamplesAlone: APIs of one process share them.
func TestADocumentLeavesItsExamplesAlone(t *testing.T) {
	t.Parallel()
	example := func() map[string]any {
		return map[string]any{"patternDescription": "a text", "list": []any{map[string]any{"patternDescription": "another"}}}
	}
	shared := api.Documentation{SecurityName: "invoker", Security: api.Invoker(), Operations: map[string]api.OperationDoc{"x": {Example: example()}}}
	a := api.New("test", slog.New(slog.DiscardHandler), api.Options{})
	huma.Register(a, huma.Operation{Method: http.MethodPost, Path: "/x", OperationID: "x"}, func(context.Context, *struct{ Body struct{} }) (*struct{}, error) {
		return nil, nil
	})
	a.Describe(shared)

	got := testcloud.Serve(t, a).Ask("GET", "/openapi.json", "")
	if !strings.Contains(got.Body, `"x-pattern-description":"a text"`) {
		t.Fatalf("the document has not the example: %v", got)
	}
	if d := cmp.Diff(example(), shared.Operations["x"].Example); d != "" {
		t.Errorf("the example was changed (-want +got):\n%s", d)
	}
}
