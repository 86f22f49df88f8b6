package personal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"carillon.example/shared/personal"
	"carillon.example/shared/push"
)

// wantOneFault fails the test unless there is one fault, at that location.
func wantOneFault(t *testing.T, what string, faults []push.Fault, location string) {
	t.Helper()
	switch {
	case len(faults) != 1:
		t.Errorf("%s: the faults are %v, want one at %s", what, faults, location)
	case faults[0].Location != location:
		t.Errorf("%s: the fault is at %s, want %s", what, faults[0].Location, location)
	}
}

// title returns a message with that title.
func title(s string) json.RawMessage {
	b, err := json.Marshal(map[string]any{"notification": map[string]string{"title": s}})
	if err != nil {
		panic(err)
	}
	return b
}

// rendered returns the title that a template becomes for a customer.
func rendered(t *testing.T, template, customer string, attributes map[string]any) string {
	t.Helper()
	x, faults := personal.Compile(title(template), "")
	if len(faults) > 0 {
		t.Fatalf("%s: %v", template, faults)
	}
	message, _, err := x.Render(customer, attributes)
	if err != nil {
		t.Fatalf("%s: %v", template, err)
	}
	var m struct{ Notification struct{ Title string } }
	if err := json.Unmarshal(message, &m); err != nil {
		t.Fatalf("%s became %s: %v", template, message, err)
	}
	return m.Notification.Title
}

func TestRendering(t *testing.T) {
	t.Parallel()
	someone := map[string]any{"name": "Anna Liepa", "points": float64(1250), "share": 12.5, "gold": true, "empty": "",
		"sly": "{{ customer.id }}", "first name": "Ann", "big": 1e300, "whole": json.Number("7"), "list": []any{"x"},
		"million": 1234567.25, "small": 0.00001, "nan": math.NaN(), "inf": math.Inf(1), "most": int64(math.MaxInt64)}
	for template, want := range map[string]string{
		"Hello": "Hello",
		"{{ customer.size }}|{{ customer.first }}|":                                  "||",
		"{{ customer.million }}":                                                     "1234567.25",
		"{{ customer.small }}":                                                       "0.00001",
		"{{ customer.nan }}|{{ customer.inf }}|":                                     "||",
		"{{ customer.most }}":                                                        "9223372036854775807",
		"{{ customer.big | times: customer.big }}|":                                  "|",
		"{{ 0.1 | plus: 0.2 }}":                                                      "0.3",
		"{{ customer.share | minus: 0.5 }}":                                          "12",
		"{{ customer.share | floor }}{{ customer.share | ceil }}":                    "1213",
		"{{ customer.gold | upcase }}":                                               "TRUE",
		"{{ customer.name | truncate: customer.gold }}":                              "Anna Liepa",
		"{{ customer.name | plus: 1 | default: 'none' }}":                            "none",
		"{{ customer.name | truncate: 0 }}|":                                         "|",
		"{{ customer.name | truncate: 2, '...' }}":                                   "..",
		"{{ 'ēdiens' | capitalize | truncate: 3 }}":                                  "Ēd…",
		"{{ customer.share | append: 0.00001 }}":                                     "12.50.00001",
		"{% if customer.share > 12 %}more{% endif %}":                                "more",
		"{% unless customer.gold %}a{% elsif customer.points > 1 %}b{% endunless %}": "b",
		"{% if customer.gold > 3 %}x{% endif %}|":                                    "|",
		"Hello {{ customer.name }}!":                                                 "Hello Anna Liepa!",
		"{{customer.id}}":                                                            "c-1",
		"{{ customer.missing }}|":                                                    "|",
		`{{ customer["first name"] }}`:                                               "Ann",
		`{{ customer.missing | default: "friend" }}`:                                 "friend",
		`{{ customer.empty | default: 'friend' }}`:                                   "friend",
		"{{ customer.name | first_word | upcase }}":                                  "ANNA",
		"{{ customer.points }}":                                                      "1250",
		"{{ customer.whole | plus: 1 }}":                                             "8",
		"{{ customer.share }}":                                                       "12.5",
		"{{ customer.gold }}":                                                        "true",
		"{{ customer.list }}":                                                        "",
		"{{ customer.points | divided_by: 0 }}.":                                     ".",
		"{{ customer.points | times: 1.1 | round }}":                                 "1375",
		"{{ customer.share | round: 2 }}":                                            "12.50",
		"{{ customer.points | thousands: ' ' }} {{ customer.points | pluralize: 'point', 'points' }}": "1 250 points",
		"{{ customer.name | truncate: 5 }}":                                        "Anna…",
		"{{ customer.name | truncate: 6, '..' }}":                                  "Anna..",
		"{{ customer.name | replace: 'Anna', 'A.' | append: '!' | prepend: '¡' }}": "¡A. Liepa!",
		"{{ customer.name | remove: ' Liepa' | downcase | capitalize }}":           "Anna",
		"{{ customer.sly }}": "{{ customer.id }}",
		`{{ "{{" }}`:         "{{",
		"{% if customer.gold %}gold{% else %}plain{% endif %}":                                                                          "gold",
		"{% unless customer.gold %}plain{% endunless %}x":                                                                               "x",
		"{% if customer.points >= 2000 %}a{% elsif customer.points > 1000 and customer.name contains 'Liepa' %}b{% else %}c{% endif %}": "b",
		"{% if customer.missing == nil %}none{% endif %}":                                                                               "none",
		"{% if customer.missing > 3 %}more{% endif %}.":                                                                                 ".",
		"{% if customer.name == \"Anna Liepa\" %}\n {{- customer.id -}} \n{% endif %}":                                                  "c-1",
	} {
		t.Run(template, func(t *testing.T) {
			if got := rendered(t, template, "c-1", someone); got != want {
				t.Errorf("%s became %q, want %q", template, got, want)
			}
		})
	}
}

func TestHostileValuesStayValues(t *testing.T) {
	t.Parallel()
	for _, v := range []string{`"},"token":"x`, "a\"b\\c\n\r\t\x00\x1f", "\u2028\u2029", "</script><script>", "\u202ertl", strings.Repeat("😀", 1000), "{% include '/etc/passwd' %}", "%}{{"} {
		if got := rendered(t, "{{ customer.v }}", "c", map[string]any{"v": v}); got != v {
			t.Errorf("%q became %q, want no change", v, got)
		}
	}
	if got := rendered(t, "{{ customer.v }}", "c", map[string]any{"v": "a\xffb"}); got != "a\ufffdb" {
		t.Errorf("text that is not UTF-8 became %q, want %q", got, "a\ufffdb")
	}
}

func TestFaultsAreNamedWithTheirPlace(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("{% if customer.a %}", 9) + strings.Repeat("{% endif %}", 9)
	for template, want := range map[string]string{
		"{{ customer.name":   "is not closed",
		"a {% if customer.a": "is not closed",
		"{{ }}":              "a value is missing",
		"{{}}":               "is not closed in its line, or empty",
		"{% %}":              "is not closed in its line, or empty",
		"{% for i in (1..1000000) %}x{% endfor %}":        "{% for %} is not an allowed tag",
		"{% include '/etc/passwd' %}":                     "{% include %} is not an allowed tag",
		"{% render 'x' %}":                                "{% render %} is not an allowed tag",
		"{% assign a = 1 %}":                              "{% assign %} is not an allowed tag",
		"{% capture a %}{% endcapture %}":                 "{% capture %} is not an allowed tag",
		"{% raw %}{{ x }}{% endraw %}":                    "{% raw %} is not an allowed tag",
		"{% comment %}{% endcomment %}":                   "{% comment %} is not an allowed tag",
		"{% case customer.a %}{% when 1 %}{% endcase %}":  "{% case %} is not an allowed tag",
		"{% tablerow i in customer.a %}{% endtablerow %}": "{% tablerow %} is not an allowed tag",
		"{{ customer.a | nofilter }}":                     `no filter "nofilter"`,
		"{{ customer.a | carillon_percent_encode }}":      "no filter",
		"{{ customer.a | default }}":                      "it takes 1",
		"{{ customer.a | truncate: 1, 2, 3 }}":            "it takes 1 to 2",
		"{{ customer.a | }}":                              `no filter ""`,
		"{{ user.name }}":                                 `"user" is not known`,
		"{{ customer }}":                                  "not a single value",
		"{{ customer.a.b }}":                              "has no members",
		"{{ customer[0] }}":                               "is written",
		"{{ customer.a customer.b }}":                     "does not belong",
		"{{ (1..9) }}":                                    "cannot be read",
		"{{ 99999999999999999999999 }}":                   "does not belong",
		"{% if %}x{% endif %}":                            "a value is missing",
		"{% if customer.a = 1 %}x{% endif %}":             "cannot be read",
		"{% if customer.a %}x":                            "has no {% endif %}",
		"x{% endif %}":                                    "does not end an open tag",
		"{% else %}":                                      "outside of if",
		"{% if customer.a %}{% else %}{% elsif customer.b %}{% endif %}": "comes after",
		"{% if customer.a %}{% else %}{% else %}{% endif %}":             "comes after",
		"{% if customer.a %}{% else customer.b %}{% endif %}":            "accepts no condition",
		"{% if customer.a %}{% endif customer.a %}":                      "accepts no arguments",
		"{{ customer.имя }}":                                             `write customer["…"]`,
		"{{ customer['__name__'] }}":                                     "is not a name",
		"{{ customer['" + strings.Repeat("n", 101) + "'] }}":             "is not a name",
		"{{ customer.a" + strings.Repeat(" | strip", 101) + " }}":        "more than 100 filters",
		"{% if customer.a %}{% endunless %}":                             "does not end an open tag",
		deep:                                                             "nested deeper than 8",
		"{{ customer.a }}" + strings.Repeat("x", 5000):                   "templates have at most 4096",
	} {
		_, faults := personal.Compile(title(template), "")
		if !strings.Contains(faults.Error(), want) {
			t.Errorf("%.60s: the faults are %v, want %q", template, faults, want)
		}
		for _, f := range faults {
			if f.Location != "body.message.notification.title" {
				t.Errorf("%.60s: the fault is at %s, want body.message.notification.title", template, f.Location)
			}
		}
	}
}

func TestWhereTemplatesAreRendered(t *testing.T) {
	t.Parallel()
	message := `{"notification":{"title":"{{ customer.a }}","body":"b"},"data":{"k":"{{customer.b}}"}, "x" : 1.50,
		"android":{"notification":{"title":"{{ customer.c }}"}},"webpush":{"fcm_options":{"link":"https://x.example/?q={{ customer.d }}"}},
		"apns":{"payload":{"aps":{"alert":{"body":"{{ customer.e }}"}}}}}`
	x, faults := personal.Compile(json.RawMessage(message), "https://x.example/{{ customer.f }}")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := fmt.Sprint(x.Names()); got != "[a b c d e f]" {
		t.Errorf("the names are %s, want [a b c d e f]", got)
	}

	got, link, err := x.Render("c", map[string]any{"a": "A", "b": "B", "c": "C", "d": "D&x=1", "e": "E", "f": "../f?g#h"})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("{{ customer.a }}", "A", "{{customer.b}}", "B", "{{ customer.c }}", "C", "{{ customer.d }}", "D%26x%3D1", "{{ customer.e }}", "E").Replace(message)
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if want := "https://x.example/..%2Ff%3Fg%23h"; link != want {
		t.Errorf("the link is %s, want %s", link, want)
	}

	for at, message := range map[string]string{
		"body.message.android.collapse_key":     `{"android":{"collapse_key":"{{ customer.id }}"}}`,
		"body.message.data":                     `{"data":{"{{ customer.id }}":"x"}}`,
		"body.message.notification.title[0]":    `{"notification":{"title":["{{ customer.id }}"]}}`,
		"body.message.notification.image":       `{"notification":{"image":"{{ customer.a }}"}}`,
		"body.message.webpush.fcm_options.link": `{"webpush":{"fcm_options":{"link":"https://{{ customer.a }}.example/"}}}`,
	} {
		_, faults := personal.Compile(json.RawMessage(message), "")
		wantOneFault(t, message, faults, at)
	}
	for _, link := range []string{"{{ customer.a }}", "{{ customer.a }}://x", "https://{{ customer.a }}/", "https://a.{{ customer.a }}/", "https:/{{ customer.a }}", "//x/{{ customer.a }}"} {
		_, faults := personal.Compile(json.RawMessage(`{}`), link)
		wantOneFault(t, "link "+link, faults, "body.link")
	}
}

func TestTemplatesAreRenderedInAndroidV2(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		`{"android_v2":{"data":{"k":"{{ customer.a }}"},"remote_notification":{"notification":{"title":"{{ customer.a }}","body":"{{ customer.a }}","image":"https://x.example/{{ customer.a }}"}}}}`,
		`{"androidV2":{"data":{"k":"{{ customer.a }}"},"remoteNotification":{"notification":{"title":"{{ customer.a }}","body":"{{ customer.a }}","image":"https://x.example/{{ customer.a }}"}}}}`,
	} {
		t.Run(message[2:11], func(t *testing.T) {
			x, faults := personal.Compile(json.RawMessage(message), "")
			if len(faults) > 0 {
				t.Fatalf("the faults are %v, want none", faults)
			}

			got, _, err := x.Render("c", map[string]any{"a": "A"})
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.ReplaceAll(message, "{{ customer.a }}", "A"); string(got) != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}

	_, faults := personal.Compile(json.RawMessage(`{"android_v2":{"collapse_key":"{{ customer.a }}"}}`), "")
	wantOneFault(t, "collapse_key", faults, "body.message.android_v2.collapse_key")
}

func TestWithoutTemplatesNothingIsTouched(t *testing.T) {
	t.Parallel()
	for _, message := range []string{`{"a": 1.50,"data":{"json":"{\"a\":{\"b\":1}}"}}`, `no json`, `{"a"`, ``, `[1]`} {
		t.Run(message, func(t *testing.T) {
			x, faults := personal.Compile(json.RawMessage(message), "https://x.example/")
			if len(faults) > 0 {
				t.Errorf("%s: the faults are %v, want none", message, faults)
				return
			}
			if x.Personal() {
				t.Errorf("%s is personal, want that it is not", message)
			}
			if names := x.Names(); len(names) > 0 {
				t.Errorf("%s uses the attributes %v, want none", message, names)
			}

			got, link, err := x.Render("c", nil)
			if err != nil {
				t.Errorf("%s: %v", message, err)
			}
			if string(got) != message {
				t.Errorf("%s became %s", message, got)
			}
			if link != "https://x.example/" {
				t.Errorf("%s: the link became %s, want https://x.example/", message, link)
			}
		})
	}
}

// TestAmplificationIsBounded checks that a text cannot grow beyond the limit of a filter's
// result, or of a rendered text.
func TestAmplificationIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	for _, template := range []string{
		"{{ customer.a" + strings.Repeat(" | append: customer.a", 22) + " }}",
		"{{ customer.a | replace: 'x', customer.a }}",
		strings.Repeat("{{ customer.a }}", 20),
		"{{ customer.a | replace: 'x', customer.a | truncate: 3 }}",
	} {
		x, faults := personal.Compile(title(template), "")
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if _, _, err := x.Render("c", map[string]any{"a": long}); !errors.Is(err, personal.ErrTooLarge) {
			t.Errorf("%.40s…: %v, want ErrTooLarge", template, err)
		}
		if _, _, err := x.Render("c", map[string]any{"a": "s"}); err != nil {
			t.Errorf("%.40s… with a short value: %v", template, err)
		}
	}
}

func TestOneTemplateIsRenderedSideBySide(t *testing.T) {
	t.Parallel()
	x, faults := personal.Compile(title("{% if customer.n > 10 %}{{ customer.id }}{% else %}{{ customer.n }}{% endif %}"), "")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for range 20 {
				got, _, err := x.Render(fmt.Sprint("c", i), map[string]any{"n": i})
				want := fmt.Sprint(i)
				if i > 10 {
					want = "c" + want
				}
				want = `{"notification":{"title":"` + want + `"}}`
				if err != nil {
					t.Errorf("customer %d: %v", i, err)
					return
				}
				if string(got) != want {
					t.Errorf("customer %d got %s, want %s", i, got, want)
					return
				}
			}
		})
	}
	all.Wait()
}
