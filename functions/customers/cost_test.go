package customers

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
)

// TestTheCostOfARefusedRequestIsLinear: whatever there is much of, and refused.
func TestTheCostOfARefusedRequestIsLinear(t *testing.T) {
	h := New(Deps{Store: failingStore(), Log: slog.New(slog.DiscardHandler)})
	for name, c := range map[string]struct {
		method, path, kind string
		few                int
		body               func(n int) string
	}{
		"settings, unknown fields":    {"PUT", "/v1/settings", "application/json", 200, func(n int) string { return `{` + testcloud.Many(n, `"k%d":1`) + `}` }},
		"a token, unknown fields":     {"POST", anna + "/tokens", "application/json", 200, func(n int) string { return `{` + testcloud.Many(n, `"k%d":1`) + `}` }},
		"a patch, unknown fields":     {"PATCH", anna, merge, 200, func(n int) string { return `{` + testcloud.Many(n, `"k%d":1`) + `}` }},
		"a patch, attributes":         {"PATCH", anna, merge, 200, func(n int) string { return `{"attributes":{` + testcloud.Many(n, `"k%d":1`) + `},"x":1}` }},
		"a patch, faulty attributes":  {"PATCH", anna, merge, 200, func(n int) string { return `{"attributes":{"a":{` + testcloud.Many(n, `"__k%d__":1`) + `}},"x":1}` }},
		"a patch, lists in lists":     {"PATCH", anna, merge, 200, func(n int) string { return `{"attributes":{"a":[` + testcloud.Many(n, `[%d]`) + `]},"x":1}` }},
		"a patch, categories":         {"PATCH", anna, merge, 200, func(n int) string { return `{"categories":{` + testcloud.Many(n, `"k%d":true`) + `},"x":1}` }},
		"a patch, segments":           {"PATCH", anna, merge, 200, func(n int) string { return `{"segments":[` + testcloud.Many(n, `"k%d"`) + `],"x":1}` }},
		"a line, unknown fields":      {"POST", "/v1/imports", ndjson, 200, func(n int) string { return `{` + testcloud.Many(n, `"k%d":1`) + `}` }},
		"lines, unknown fields":       {"POST", "/v1/imports", ndjson, 20, func(n int) string { return strings.Repeat(`{`+testcloud.Many(100, `"k%d":1`)+"}\n", n) }},
		"a token of a line":           {"POST", "/v1/imports", ndjson, 200, func(n int) string { return `{"tokens":[{` + testcloud.Many(n, `"k%d":1`) + `}]}` }},
		"tokens of a line":            {"POST", "/v1/imports", ndjson, 200, func(n int) string { return `{"tokens":[` + testcloud.Many(n, `{}`) + `]}` }},
		"empty lines":                 {"POST", "/v1/imports", ndjson, 400, func(n int) string { return "{}\n" + strings.Repeat("\n", n) }},
		"lines that are no JSON":      {"POST", "/v1/imports", ndjson, 400, func(n int) string { return strings.Repeat("{\n", n) }},
		"more lines than are allowed": {"POST", "/v1/imports", ndjson, 20_000, func(n int) string { return strings.Repeat("{}\n", n) }},
		"CSV, unknown columns":        {"POST", "/v1/imports", csvType, 200, func(n int) string { return testcloud.Many(n, `k%d`) + "\n" }},
		"CSV, columns twice":          {"POST", "/v1/imports", csvType, 2000, func(n int) string { return testcloud.Many(n, `attributes.k`) + "\n" }},
		"CSV, many columns": {"POST", "/v1/imports", csvType, 200, func(n int) string {
			return "id," + testcloud.Many(n, `attributes.k%d`) + "\nx," + testcloud.Many(n, `%d`) + "\n"
		}},
		"CSV, many segments":        {"POST", "/v1/imports", csvType, 2000, func(n int) string { return "id,segments\nx," + strings.Repeat("s|", n) }},
		"CSV, rows of one customer": {"POST", "/v1/imports", csvType, 400, func(n int) string { return "id,token\n" + strings.Repeat("x,t\n", n) }},
		"CSV, faulty rows":          {"POST", "/v1/imports", csvType, 400, func(n int) string { return "id,token,fid\n" + strings.Repeat("x,t,f\n", n) }},
		"CSV, quotes never closed":  {"POST", "/v1/imports", csvType, 400, func(n int) string { return "id,token\n" + strings.Repeat("x,\"\"\"\n", n) }},
		"CSV, a quote in each line": {"POST", "/v1/imports", csvType, 400, func(n int) string { return "id,token\n" + strings.Repeat("\"x,y\n", n) }},
		"CSV, a row of commas":      {"POST", "/v1/imports", csvType, 20_000, func(n int) string { return "id,token\n" + strings.Repeat(",", n) }},
	} {
		t.Run(name, func(t *testing.T) {
			testcloud.GrowsLinearly(t, c.few, func(n int) func() {
				body := c.body(n)
				return func() {
					r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(body))
					r.Header.Set("Content-Type", c.kind)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if w.Code/100 != 4 && w.Code != http.StatusServiceUnavailable {
						t.Fatalf("answered %d %.200s", w.Code, w.Body)
					}
				}
			})
		})
	}
}
