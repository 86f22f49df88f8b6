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
			if got.Code != c.status {
				t.Errorf("answered %d %s, want %d", got.Code, got.Body, c.status)
			}
			if after := got.Header.Get("Retry-After"); after != c.after {
				t.Errorf("Retry-After is %q, want %q", after, c.after)
			}
			if strings.Contains(got.Body, "secret") {
				t.Errorf("the answer has the text of our own error: %s", got.Body)
			}

			log := w.log.String()
			logged := strings.Contains(log, "a request failed")
			if logged != c.logged {
				t.Errorf("logged: %v, want %v: %s", logged, c.logged, log)
			}
			if logged && !strings.Contains(log, "level=ERROR") {
				t.Errorf("the line has not the level ERROR: %s", log)
			}
		})
	}

	want := []testcloud.Fault{{Location: "body.a", Message: "is odd"}, {Location: "body.b", Message: "is even"}}
	if diff := cmp.Diff(want, w.do("GET", "/things/faults", "", "").Errors); diff != "" {
		t.Errorf("the faults in the answer (-want +got):\n%s", diff)
	}

	got := w.do("GET", "/unwrapped/own", "", "") // does not pass through the table
	if got.Code != 500 {
		t.Errorf("an error without the table: %d, want 500", got.Code)
	}
	if strings.Contains(got.Body, "secret") {
		t.Errorf("an error without the table: the answer has its text: %s", got.Body)
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
		if got.Code != 500 {
			t.Errorf("%s: %d, want 500", path, got.Code)
		}
		for _, text := range []string{"secret", "goroutine"} {
			if strings.Contains(got.Body, text) {
				t.Errorf("%s: the answer contains %q: %s", path, text, got.Body)
			}
		}

		log := w.log.String()
		for _, text := range []string{"level=ERROR", logged, "setup_test.go"} {
			if !strings.Contains(log, text) {
				t.Errorf("%s: the log does not contain %q: %s", path, text, log)
			}
		}
		if strings.Contains(log, "secret") {
			t.Errorf("%s: the log contains the value of the panic: %s", path, log)
		}
	}

	if got := w.do("GET", "/things/fine", "", ""); got.Code != 200 {
		t.Errorf("after panics: %d, want 200", got.Code)
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
		t.Run(c.method, func(t *testing.T) {
			got := w.do(c.method, c.path, "", "")
			if got.Code != c.status {
				t.Errorf("%s %s: %d, want %d", c.method, c.path, got.Code, c.status)
			}
			if allow := got.Header.Get("Allow"); allow != c.allow {
				t.Errorf("%s %s: Allow is %q, want %q", c.method, c.path, allow, c.allow)
			}
		})
	}
}

func TestEncodedPathsReachTheOperation(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, path := range []string{"/things/%2E%2E", "/things/a%2Fb", "/things/a%2F%2Fb", "/things/%20", "/things/%C3%BC"} {
		if got := w.do("GET", path, "", ""); got.Code != 200 {
			t.Errorf("%s: %d %s, want 200", path, got.Code, got.Body)
		}
	}
}

func TestACallerThatHasGoneIsNoError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j := &testcloud.LogBuffer{}

	err := api.ToProblem(ctx, j.Logger(), context.Canceled)
	switch p, ok := errors.AsType[*api.Problem](err); {
	case !ok:
		t.Errorf("the error is %v, want a problem", err)
	case p.Status != 503:
		t.Errorf("the problem has the status %d, want 503", p.Status)
	}
	if log := j.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("it is logged as an error: %s", log)
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
		t.Run(query, func(t *testing.T) {
			got := w.do("GET", "/things/x"+query, "", "")
			if got.Code != 422 {
				t.Errorf("%s: %d %s, want 422", query, got.Code, got.Body)
			}
			if diff := cmp.Diff(want, got.Places()); diff != "" {
				t.Errorf("%s: places of the faults (-want +got):\n%s", query, diff)
			}
		})
	}
}

func TestAQueryThatCannotBeReadIsNotPassedOver(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, query := range []string{"?%zz", "?size=1;size=2", "?size=%"} {
		if got := w.do("GET", "/things/x"+query, "", ""); got.Code != 400 {
			t.Errorf("%s: %d %s, want 400", query, got.Code, got.Body)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, path := range []string{"/things/fine", "/things/own", "/things/bare", "/nothing", "/openapi.json"} {
		t.Run(path, func(t *testing.T) {
			got := w.do("GET", path, "", "")
			// Link would name a schema, as $schema in a body does.
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Link": ""} {
				if value := got.Header.Get(name); value != want {
					t.Errorf("%s: %s is %q, want %q", path, name, value, want)
				}
			}
			if strings.Contains(got.Body, "$schema") {
				t.Errorf("%s: the body names a schema: %s", path, got.Body)
			}
		})
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	got := small(t).do("GET", "/openapi.json", "", "")
	doc := testcloud.Decode[struct{ OpenAPI string }](got, http.StatusOK)
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Fatalf("the version is %q, want 3.1", doc.OpenAPI)
	}
	testcloud.Golden(t, "testdata/openapi.json", got.Body)
}

// TestAnswersThatHaveBegunBreakOff checks that a panic in the middle of an answer adds
// nothing to it, and that the client sees that the answer is not complete.
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

	if resp.StatusCode != 200 {
		t.Errorf("answered %d, want 200", resp.StatusCode)
	}
	got, err := io.ReadAll(resp.Body)
	if string(got) != "half" {
		t.Errorf("the body is %q, want half", got)
	}
	if err == nil {
		t.Error("the body ended without an error, want a broken connection")
	}
}

// TestADocumentLeavesItsExamplesAlone checks that a document does not change its examples,
// because the APIs of one process share them.
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
		t.Fatalf("the document does not contain the example: %v", got)
	}
	if d := cmp.Diff(example(), shared.Operations["x"].Example); d != "" {
		t.Errorf("the example was changed (-want +got):\n%s", d)
	}
}
