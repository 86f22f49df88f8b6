package personal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"carillon.example/shared/personal"
)

func compiled(t *testing.T, message, link string) *personal.Template {
	t.Helper()
	x, faults := personal.Compile(json.RawMessage(message), link)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return x
}

// many returns a message with n data values, each with the same template.
func many(n int, template string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":"%s"`, i, template)
	}
	return `{"data":{` + b.String()[1:] + `}}`
}

func TestAMessageIsBoundedAsAWhole(t *testing.T) {
	t.Parallel()
	x := compiled(t, many(1000, "{{ customer.v }}"), "")
	if _, _, err := x.Render("c", map[string]any{"v": strings.Repeat("<", 8000)}); !errors.Is(err, personal.ErrTooLarge) {
		t.Errorf("1,000 values of 8,000 bytes: %v, want ErrTooLarge", err)
	}
	if _, _, err := x.Render("c", map[string]any{"v": "short"}); err != nil {
		t.Errorf("1,000 short values: %v", err)
	}
}

// TestLongValues checks that a long attribute is accepted if the template shortens it, or
// only uses it in a condition.
func TestLongValues(t *testing.T) {
	t.Parallel()
	long := map[string]any{"v": strings.Repeat("ā ", 500_000)}
	for template, want := range map[string]string{
		"{{ customer.v | truncate: 3 }}":                         "ā …",
		"{{ customer.v | first_word }}":                          "ā",
		"{{ customer.v | default: 'x' | truncate: 1, '' }}":      "ā",
		"{% if customer.v %}there{% endif %}":                    "there",
		"{% if customer.v contains 'ā ā' %}there{% endif %}":     "there",
		"{{ customer.w | default: 'short' | append: '!' }}":      "short!",
		"{% if customer.v == customer.w %}a{% else %}b{%endif%}": "b",
	} {
		t.Run(template, func(t *testing.T) {
			if got := rendered(t, template, "c", long); got != want {
				t.Errorf("%s became %.40q, want %q", template, got, want)
			}
		})
	}
	for _, template := range []string{"{{ customer.v }}", "{{ customer.v | upcase }}", "{{ customer.v | strip | truncate: 1 }}", "{{ 'a' | append: customer.v }}", "{{ 'a' | truncate: 1, customer.v }}"} {
		if _, _, err := compiled(t, string(title(template)), "").Render("c", long); !errors.Is(err, personal.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", template, err)
		}
	}
}

// TestChainsDoNotAmplify checks that a chain of filters cannot make a larger text than one
// filter may make.
func TestChainsDoNotAmplify(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"url_encode", "append: customer.v", "prepend: customer.v", "replace: '%', '%%%%'"} {
		t.Run(filter, func(t *testing.T) {
			x := compiled(t, string(title("{{ customer.v"+strings.Repeat(" | "+filter, 99)+" | truncate: 3 }}")), "")
			if _, _, err := x.Render("c", map[string]any{"v": strings.Repeat("%", 1000)}); !errors.Is(err, personal.ErrTooLarge) {
				t.Errorf("99 times %s: %v, want ErrTooLarge", filter, err)
			}
		})
	}
}

func TestErrorsRepeatNoValues(t *testing.T) {
	t.Parallel()
	secret := "anna@customer.example"
	x := compiled(t, string(title("{{ customer.v | append: customer.w }}")), "https://shop.example/{{ customer.x }}/a")
	for _, attributes := range []map[string]any{
		{"v": strings.Repeat(secret, 1000)},
		{"w": strings.Repeat(secret, 1000)},
		{"v": secret, "x": ".."},
	} {
		_, _, err := x.Render(secret, attributes)
		if err == nil {
			t.Fatal("rendering succeeds, want an error")
		}
		if text := err.Error(); strings.Contains(text, "anna") {
			t.Errorf("the error repeats a value: %s", text)
		}
		if text := err.Error(); !strings.Contains(text, "body.") {
			t.Errorf("the error is %q, want one with its place", text)
		}
	}
}

func TestHostileTemplatesAreRefused(t *testing.T) {
	t.Parallel()
	nested := strings.Repeat("{% if 1 %}", 130) + strings.Repeat("{% endif %}", 130)
	names := strings.Builder{}
	for i := range 51 {
		fmt.Fprintf(&names, "{{ customer.n%d }}", i)
	}
	for name, c := range map[string]struct{ message, want string }{
		"a million turns":             {string(title("{% for i in (1..1000000) %}{% for j in (1..1000000) %}x{% endfor %}{% endfor %}")), "{% for %} is not an allowed tag"},
		"a file":                      {string(title("{% include '/proc/self/environ' %}")), "{% include %} is not an allowed tag"},
		"nested ifs":                  {string(title(nested)), "nested deeper than 8"},
		"1,000 nested ifs":            {string(title(strings.Repeat("{% if 1 %}", 1000) + strings.Repeat("{% endif %}", 1000))), "at most 4096"},
		"braces and nothing else":     {string(title(strings.Repeat("{", 4000))), "is not closed"},
		"many attributes":             {string(title(names.String())), "more than 50 attributes"},
		"many filters over many keys": {many(51, "{{ customer.a | strip | strip }}"), "more than 100 filters"},
		"deep JSON":                   {`{"a":` + strings.Repeat(`[`, 9000) + `"{{"` + strings.Repeat(`]`, 9000) + `}`, "rendered only in titles"},
		"a template in a list":        {`{"data":["{{ customer.id }}"]}`, "rendered only in titles"},
		"a template in escapes":       {`{"notification":{"title":"\u007b\u007b user.id }}"}}`, `"user" is not known`},
		"a filter of 4,000 bytes":     {string(title("{{ 1 | " + strings.Repeat("f", 4000) + " }}")), "there is no filter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := personal.Compile(json.RawMessage(c.message), "")
			if !strings.Contains(faults.Error(), c.want) {
				t.Errorf("%v; want %q", faults, c.want)
			}
			if len(faults.Error()) > 12_000 {
				t.Errorf("the faults have %d bytes, want at most 12,000", len(faults.Error()))
			}
		})
	}

	_, faults := personal.Compile(json.RawMessage(many(1000, "{{ x }}")), "")
	if len(faults) != 21 {
		t.Fatalf("%d faults for 1,000 templates, want 20 and one that says that there are more", len(faults))
	}
	if at := faults[20].Location; at != "body.message" {
		t.Errorf("the last fault is at %s, want body.message", at)
	}
}
