package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
)

// TestEveryAnswerNamesItsRequest checks that an answer has the id of the request, or a new
// one, in its header, in a problem and in the log.
func TestEveryAnswerNamesItsRequest(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, c := range []struct {
		path, sent string
		code       int
		own        bool // the answer has a new id
	}{
		{"/things/1", "r-1:2.3_4", 200, false},
		{"/things/away", "r-2", 503, false},
		{"/things/gone", "r-3", 404, false},
		{"/things/1?size=9", "r-4", 422, false}, // huma's
		{"/unwrapped/bare", "r-5", 500, false},  // a panic
		{"/nothing", "r-6", 404, false},
		{"/things/gone", "", 404, true},
		{"/things/gone", "with space", 404, true},
		{"/things/gone", strings.Repeat("r", 129), 404, true},
	} {
		t.Run(c.path, func(t *testing.T) {
			a := w.Ask("GET", c.path, "", "X-Request-Id", c.sent)
			id := a.Header.Get("X-Request-Id")
			if a.Code != c.code {
				t.Errorf("%s: %v, want %d", c.path, a, c.code)
			}
			if id == "" {
				t.Errorf("%s of %q: the answer has no id", c.path, c.sent)
			}
			if own := id != c.sent; own != c.own {
				t.Errorf("%s of %q: the id is %q; is it new: %v, want %v", c.path, c.sent, id, own, c.own)
			}
			if a.Code < 300 {
				return
			}
			var p struct{ Type, Instance string }
			if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
				t.Fatal(err)
			}
			if p.Type != "about:blank" {
				t.Errorf("%s: the type of the problem is %q, want about:blank", c.path, p.Type)
			}
			if want := "urn:carillon:request:" + id; p.Instance != want {
				t.Errorf("%s: the instance of the problem is %q, want %q", c.path, p.Instance, want)
			}
			if a.Code >= 500 && !strings.Contains(w.log.String(), "requestId="+id) {
				t.Errorf("%s: %s is not in the log:\n%s", c.path, id, w.log)
			}
		})
	}
}

// TestPagesOfOtherSites checks that requests that a browser sends for a page of another site
// are refused.
func TestPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	w := small(t)
	for name, c := range map[string]struct {
		header []string
		want   int
	}{
		"no browser":                 {nil, 200},
		"the same origin":            {[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		"another site":               {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another origin of the site": {[]string{"Sec-Fetch-Site", "same-site"}, 403},
		"an old browser":             {[]string{"Origin", "https://evil.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.Ask("POST", "/act", "", append(c.header, "Content-Type", "")...); a.Code != c.want {
				t.Errorf("%s: %v, want %d", name, a, c.want)
			}
		})
	}
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestZippedBodies checks that an operation accepts compressed bodies, with the same limit
// for the uncompressed body.
func TestZippedBodies(t *testing.T) {
	t.Parallel()
	a := api.New("zip", slog.New(slog.DiscardHandler), api.Options{})
	op := huma.Operation{Method: http.MethodPost, Path: "/lines", OperationID: "lines", MaxBodyBytes: 1 << 10}
	huma.Register(a, api.TakesGzip(op), func(_ context.Context, in *linesInput) (*output, error) {
		out := &output{}
		out.Body.OK = string(in.RawBody)
		return out, nil
	})
	site := testcloud.Serve(t, a)
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"good":           {zipped(t, "{}"), 200},
		"the limit":      {zipped(t, strings.Repeat(" ", 1<<10-1)), 200},
		"over the limit": {zipped(t, strings.Repeat(" ", 1<<10)), 413},
		"a bomb":         {zipped(t, strings.Repeat(" ", 600<<10)), 413},
		"no gzip":        {"{}", 400},
		"cut off":        {zipped(t, "{}")[:20], 400},
	} {
		t.Run(name, func(t *testing.T) {
			got := site.Ask("POST", "/lines", c.body, "Content-Type", "application/x-ndjson", "Content-Encoding", "gzip")
			if got.Code != c.code {
				t.Errorf("%s: %v, want %d", name, got, c.code)
			}
			if name == "good" && testcloud.Decode[struct{ OK string }](got, 200).OK != "{}" {
				t.Errorf("the operation got %s, want {}", got.Body)
			}
		})
	}
}

func TestWhoWantsGzip(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false,
		"*": true, "*;q=0": false, "*, gzip;q=0": false, "br": false, "identity": false, "gzip;q=x": false,
	} {
		t.Run(accept, func(t *testing.T) {
			if got := api.WantsGzip(accept); got != want {
				t.Errorf("%q: %v, want %v", accept, got, want)
			}
		})
	}
}
