package personal_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"carillon.example/shared/personal"
)

// most is how many bytes a message can have after rendering: what it had, what
// is added, and the text that crosses that line, escaped.
func most(message []byte) int {
	return len(message) + personal.MaxAdded + 6*personal.MaxRendered
}

// FuzzCompile takes any bytes for a message: no panic, and what is rendered of
// a JSON object is one.
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
			if len(faults) > 21 || len(faults.Error()) > 64<<10 {
				t.Errorf("%d faults in %d bytes", len(faults), len(faults.Error()))
			}
			return
		}
		got, _, err := x.Render("c", map[string]any{"a": `"}`, "b": true})
		if err != nil {
			return
		}
		if json.Valid(message) != json.Valid(got) || len(got) > most(message) {
			t.Errorf("%q became %q", message, got)
		}
		if !x.Personal() && string(got) != string(message) {
			t.Errorf("%q has no template and became %q", message, got)
		}
	})
}

// FuzzRender takes any template and any values: no panic, one JSON object of
// bounded size, errors of the two known kinds that repeat no value.
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
		if err := json.Unmarshal(got, &m); err != nil || m.Notification.Title == nil || len(got) > most(message) {
			t.Fatalf("%q became %q: %v", template, got, err)
		}
		again, _, err := x.Render(a, map[string]any{"a": a, "n": n, "b": b})
		if err != nil || string(again) != string(got) {
			t.Errorf("%q rendered twice differs: %q, %q, %v", template, got, again, err)
		}
		if strings.Contains(*m.Notification.Title, "Inf") && !strings.Contains(template+a, "Inf") {
			t.Errorf("%q with %v became %q", template, n, *m.Notification.Title)
		}
	})
}
