package mailings_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/functions/mailings"
)

// TestTheCostOfARefusedMailingIsLinear: whatever there is much of, and refused.
func TestTheCostOfARefusedMailingIsLinear(t *testing.T) {
	h := mailings.New(mailings.Deps{Log: slog.New(slog.DiscardHandler)})
	const audience = `"audience":{"everyone":false}`
	for name, c := range map[string]struct {
		few  int
		body func(n int) string
	}{
		"unknown fields":             {200, func(n int) string { return `{` + audience + `,` + testcloud.Many(n, `"k%d":1`) + `}` }},
		"unknown fields of audience": {100, func(n int) string { return `{"audience":{` + testcloud.Many(n, `"k%d":1`) + `}}` }},
		"fields of a message":        {100, func(n int) string { return `{` + audience + `,"message":{` + testcloud.Many(n, `"k%d":1`) + `}}` }},
		"fields of data": {100, func(n int) string {
			return `{` + audience + `,"message":{"data":{` + testcloud.Many(n, `"k%d":"a"`) + `}}}`
		}},
		"templates": {100, func(n int) string {
			return `{` + audience + `,"message":{"data":{` + testcloud.Many(n, `"k%d":"{{ a }}"`) + `}}}`
		}},
		"templates in one text": {200, func(n int) string {
			return `{` + audience + `,"message":{"data":{"a":"` + testcloud.Many(n, `{{ a%d }}`) + `"}}}`
		}},
		"templates of many names": {100, func(n int) string {
			return `{` + audience + `,"message":{"data":{` + testcloud.Many(n, `"k%d":"{{ a%d }}"`) + `}}}`
		}},
		"faulty templates": {100, func(n int) string {
			return `{` + audience + `,"message":{"data":{` + testcloud.Many(n, `"k%d":"{{ a | b }}"`) + `}}}`
		}},
		"conditions in one text": {200, func(n int) string {
			return `{` + audience + `,"message":{"data":{"a":"` + testcloud.Many(n, `{% if a %}b{% endif %}`) + `"}}}`
		}},
		"an open brace in one text": {2000, func(n int) string {
			return `{` + audience + `,"message":{"data":{"a":"` + strings.Repeat("{{", n) + `"}}}`
		}},
		"a link of templates": {200, func(n int) string {
			return `{` + audience + `,"message":{"data":{}},"link":"` + strings.Repeat("{{ a }}", n) + `"}`
		}},
		"a large message": {2_000, func(n int) string {
			return `{` + audience + `,"message":{"data":{` + testcloud.Many(n, `"k%d":"{{ a }}"`) + `}}}`
		}},
		"customers": {1000, func(n int) string {
			return `{"audience":{"customers":[` + testcloud.Many(n, `"c%d"`) + `]},"message":{}}`
		}},
		"customers without a name": {1000, func(n int) string { return `{"audience":{"customers":[` + testcloud.Many(n, `""`) + `]},"message":{}}` }},
		"more customers than allowed": {2_000, func(n int) string {
			return `{"audience":{"customers":[` + testcloud.Many(n, `"c%d"`) + `]},"message":{}}`
		}},
		"segments": {2000, func(n int) string {
			return `{"audience":{"segments":{"any":[` + testcloud.Many(n, `"c%d"`) + `]}},"message":{}}`
		}},
		"digits": {2000, func(n int) string { return `{"ratePerMinute":` + strings.Repeat("9", n) + `}` }},
	} {
		t.Run(name, func(t *testing.T) {
			testcloud.GrowsLinearly(t, c.few, func(n int) func() {
				body := c.body(n)
				return func() {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/mailings", strings.NewReader(body))
					r.Header.Set("Content-Type", "application/json")
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if w.Code/100 != 4 {
						t.Fatalf("answered %d %.200s", w.Code, w.Body)
					}
				}
			})
		})
	}
}
