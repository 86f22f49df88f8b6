package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon.example/emulators/lab"
	"carillon.example/shared/api"
)

// TestTheCostOfARequestIsLinear: a body of unknown fields once cost the square of
// their number.
func TestTheCostOfARequestIsLinear(t *testing.T) {
	a := limitless(slog.New(slog.DiscardHandler))
	deep := strings.Repeat(`{"`+strings.Repeat("k", 60)+`":`, 60)
	for name, c := range map[string]struct {
		method, path string
		few          int
		body         func(n int) string
	}{
		"unknown fields":           {"POST", "/letters", 200, func(n int) string { return `{"text":"a",` + lab.Many(n, `"k%d":1`) + `}` }},
		"unknown fields for huma":  {"POST", "/things", 200, func(n int) string { return `{"name":"a",` + lab.Many(n, `"k%d":1`) + `}` }},
		"unknown fields of a part": {"POST", "/letters", 200, func(n int) string { return `{"text":"a","part":{` + lab.Many(n, `"k%d":1`) + `}}` }},
		"items of a wrong type":    {"POST", "/letters", 200, func(n int) string { return `{"text":"a","to":[` + lab.Many(n, `%d`) + `]}` }},
		"items of a right type":    {"POST", "/letters", 200, func(n int) string { return `{"text":"a","to":[` + lab.Many(n, `"%d"`) + `]}` }},
		"a field that is no text":  {"POST", "/letters", 200, func(n int) string { return `{"text":{},` + lab.Many(n, `"k%d":[1,2]`) + `}` }},
		"deep below long names":    {"POST", "/letters", 200, func(n int) string { return `{"text":` + deep + "[" + lab.Many(n, "1") + "]" + strings.Repeat("}", 61) }},
		"fields of a free map":     {"POST", "/letters", 200, func(n int) string { return `{"text":"a","words":{` + lab.Many(n, `"k%d":1`) + `}}` }},
		"parameters":               {"GET", "/things/1?", 200, func(n int) string { return strings.ReplaceAll(lab.Many(n, `k%d=1`), ",", "&") }},
		"parameters twice":         {"GET", "/things/1?", 200, func(n int) string { q := strings.ReplaceAll(lab.Many(n, `k%d=1`), ",", "&"); return q + "&" + q }},
	} {
		t.Run(name, func(t *testing.T) {
			lab.GrowsLinearly(t, c.few, func(n int) func() {
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

// TestFaultsBeyondThoseNamedAreNotLookedFor: neither unknown fields nor faulty
// items, wherever they stand.
func TestFaultsBeyondThoseNamedAreNotLookedFor(t *testing.T) {
	t.Parallel()
	a := api.New("form", slog.New(slog.DiscardHandler), api.Options{})
	form := api.NewForm[letter](a)
	const named = 201 // and one that says that there are more
	for name, body := range map[string]string{
		"unknown fields":           `{` + lab.Many(1000, `"k%d":1`) + `}`,
		"unknown fields of a part": `{"part":{` + lab.Many(1000, `"k%d":1`) + `}}`,
		"faulty items":             `{"to":[` + lab.Many(1000, `%d`) + `]}`,
		"faulty entries of a map":  `{"words":{` + lab.Many(1000, `"k%d":1`) + `}}`,
		"all of them": `{"to":[` + lab.Many(1000, `%d`) + `],"words":{` + lab.Many(1000, `"k%d":1`) + `},"part":{` + lab.Many(1000, `"k%d":1`) + `},` +
			lab.Many(1000, `"k%d":1`) + `}`,
	} {
		_, faults := form.Read([]byte(body))
		if len(faults) < 200 || len(faults) > named+5 { // what is missing comes on top
			t.Errorf("%s: %d faults, want some %d", name, len(faults), named)
		}
		if last := faults[len(faults)-1]; last.Message != "has more faults than are named here" {
			t.Errorf("%s: the last fault is %v", name, last)
		}
	}
}
