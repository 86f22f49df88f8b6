package personal_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"carillon.example/shared/personal"
)

// most returns how many bytes a message can have after rendering: its own bytes, MaxAdded,
// and the text that exceeds MaxAdded, escaped.
func most(message []byte) int {
	return len(message) + personal.MaxAdded + 6*personal.MaxRendered
}

// FuzzCompile compiles any bytes as a message. It checks that nothing panics, and that the
// result is JSON if the message is JSON.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`{"notification":{"title":"{{ customer.a }}"},"data":{"k":"{% if customer.b %}x{% endif %}"}}`,
		`{"data":{"\u007b{":"{{"}}`, `{"data":["{{ customer.id }}"]}`, `["{{"`, `{"a":"{{ customer.id }}"} x`, `{"data":{"a":"{{ customer.a }}","a":"{{ customer.b }}"}}`,
		`{"apns":{"payload":{"aps":{"alert":"{{ customer.id | truncate: 3 }}"}}}}`,
	} {
		f.Add([]byte(s), "https://x.example/{{ customer.id }}")
	}
	f.Fuzz(func(t *testing.T, message []byte, link string) {
		x, faults := personal.Compile(message, link)
		if len(faults) > 0 {
			if len(faults) > 21 {
				t.Errorf("%d faults, want at most 21", len(faults))
			}
			if n := len(faults.Error()); n > 64<<10 {
				t.Errorf("the faults have %d bytes, want at most %d", n, 64<<10)
			}
			return
		}

		got, _, err := x.Render("c", map[string]any{"a": `"}`, "b": true})
		if err != nil {
			return
		}
		if valid := json.Valid(got); valid != json.Valid(message) {
			t.Errorf("%q became %q; is it JSON: %v, want %v", message, got, valid, !valid)
		}
		if n := len(got); n > most(message) {
			t.Errorf("%q became %d bytes, want at most %d", message, n, most(message))
		}
		if !x.Personal() && string(got) != string(message) {
			t.Errorf("%q has no template and became %q", message, got)
		}
	})
}

// FuzzRender renders any template with any values. It checks that nothing panics, that the
// result is a JSON object of limited size, and that the only error is ErrTooLarge.
func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"{{ customer.a }}", "{% if customer.a %}x{% endif %}", "{{", "{% for i in x %}", "{{ customer.a | truncate: customer.n, customer.a }}",
		"{{ customer.n | times: 1000000 | round: 2 | thousands: ' ' }}", "{{ customer.b | append: customer.n | replace: 'e', customer.a }}",
		"{% unless customer.n > 3 or customer.a contains 'x' %}{{- customer.id -}}{% elsif customer.b == true %}y{% endunless %}",
	} {
		f.Add(s, "value", 1.5, true)
	}
	f.Fuzz(func(t *testing.T, template, a string, n float64, b bool) {
		message := title(template)
		x, faults := personal.Compile(message, "")
		if len(faults) > 0 {
			return
		}
		got, _, err := x.Render(a, map[string]any{"a": a, "n": n, "b": b})
		if err != nil {
			if !errors.Is(err, personal.ErrTooLarge) {
				t.Errorf("%q: %v", template, err)
			}
			return
		}
		var m struct{ Notification struct{ Title *string } }
		if err := json.Unmarshal(got, &m); err != nil {
			t.Fatalf("%q became %q: %v", template, got, err)
		}
		if m.Notification.Title == nil {
			t.Fatalf("%q became %q, want a title", template, got)
		}
		if n := len(got); n > most(message) {
			t.Fatalf("%q became %d bytes, want at most %d", template, n, most(message))
		}

		again, _, err := x.Render(a, map[string]any{"a": a, "n": n, "b": b})
		if err != nil {
			t.Errorf("%q rendered again: %v", template, err)
		}
		if string(again) != string(got) {
			t.Errorf("%q rendered again became %q, want %q", template, again, got)
		}
		if strings.Contains(*m.Notification.Title, "Inf") && !strings.Contains(template+a, "Inf") {
			t.Errorf("%q with %v became %q", template, n, *m.Notification.Title)
		}
	})
}
