package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
)

// TestTheCostOfARequestIsLinear checks that the cost of a request grows with its size. The
// cost of a body of unknown fields once grew with the square of their number.
func TestTheCostOfARequestIsLinear(t *testing.T) {
	a := limitless(slog.New(slog.DiscardHandler))
	deep := strings.Repeat(`{"`+strings.Repeat("k", 60)+`":`, 60)
	for name, c := range map[string]struct {
		method, path string
		few          int
		body         func(n int) string
	}{
		"unknown fields":           {"POST", "/notes", 200, func(n int) string { return `{"text":"a",` + testcloud.Many(n, `"k%d":1`) + `}` }},
		"unknown fields for huma":  {"POST", "/things", 200, func(n int) string { return `{"name":"a",` + testcloud.Many(n, `"k%d":1`) + `}` }},
		"unknown fields of a part": {"POST", "/notes", 200, func(n int) string { return `{"text":"a","part":{` + testcloud.Many(n, `"k%d":1`) + `}}` }},
		"items of a wrong type":    {"POST", "/notes", 200, func(n int) string { return `{"text":"a","to":[` + testcloud.Many(n, `%d`) + `]}` }},
		"items of a right type":    {"POST", "/notes", 200, func(n int) string { return `{"text":"a","to":[` + testcloud.Many(n, `"%d"`) + `]}` }},
		"a field that is no text":  {"POST", "/notes", 200, func(n int) string { return `{"text":{},` + testcloud.Many(n, `"k%d":[1,2]`) + `}` }},
		"deep below long names": {"POST", "/notes", 200, func(n int) string {
			return `{"text":` + deep + "[" + testcloud.Many(n, "1") + "]" + strings.Repeat("}", 61)
		}},
		"fields of a free map": {"POST", "/notes", 200, func(n int) string { return `{"text":"a","words":{` + testcloud.Many(n, `"k%d":1`) + `}}` }},
		"parameters":           {"GET", "/things/1?", 200, func(n int) string { return strings.ReplaceAll(testcloud.Many(n, `k%d=1`), ",", "&") }},
		"parameters twice":     {"GET", "/things/1?", 200, func(n int) string { q := strings.ReplaceAll(testcloud.Many(n, `k%d=1`), ",", "&"); return q + "&" + q }},
	} {
		t.Run(name, func(t *testing.T) {
			testcloud.GrowsLinearly(t, c.few, func(n int) func() {
				path, body := c.path, c.body(n)
				if c.method == "GET" {
					path, body = path+body, ""
				}
				return func() {
					r := httptest.NewRequestWithContext(t.Context(), c.method, path, strings.NewReader(body))
					r.Header.Set("Content-Type", asJSON)
					w := httptest.NewRecorder()
					a.ServeHTTP(w, r)
					if w.Code >= http.StatusInternalServerError {
						t.Fatalf("answered %d %.200s", w.Code, w.Body)
					}
				}
			})
		})
	}
}

// TestFaultsBeyondThoseNamedAreNotLookedFor checks this for unknown fields and for faulty
// items, at every place of a body.
func TestFaultsBeyondThoseNamedAreNotLookedFor(t *testing.T) {
	t.Parallel()
	a := api.New("form", slog.New(slog.DiscardHandler), api.Options{})
	form := api.NewForm[note](a)
	const named = 201 // and one that says that there are more
	for name, body := range map[string]string{
		"unknown fields":           `{` + testcloud.Many(1000, `"k%d":1`) + `}`,
		"unknown fields of a part": `{"part":{` + testcloud.Many(1000, `"k%d":1`) + `}}`,
		"faulty items":             `{"to":[` + testcloud.Many(1000, `%d`) + `]}`,
		"faulty entries of a map":  `{"words":{` + testcloud.Many(1000, `"k%d":1`) + `}}`,
		"all of them": `{"to":[` + testcloud.Many(1000, `%d`) + `],"words":{` + testcloud.Many(1000, `"k%d":1`) + `},"part":{` + testcloud.Many(1000, `"k%d":1`) + `},` +
			testcloud.Many(1000, `"k%d":1`) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := form.Read([]byte(body))
			if n, most := len(faults), named+5; n < 200 || n > most { // missing fields are added to the named faults
				t.Errorf("%s: %d faults, want 200 to %d", name, n, most)
			}
			if last := faults[len(faults)-1]; last.Message != "has more faults than are named here" {
				t.Errorf("%s: the last fault is %v, want that there are more", name, last)
			}
		})
	}
}
