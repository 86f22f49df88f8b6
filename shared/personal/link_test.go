package personal_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"carillon.example/shared/personal"
)

func TestLinksLeadWhereTheirTemplateSays(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"https://shop.example/{{ customer.v }}":                             "https://shop.example/a%2Fb%20%26c%3F",
		"https://shop.example?q={{ customer.v }}":                           "https://shop.example?q=a%2Fb%20%26c%3F",
		"https://shop.example/#{{ customer.v }}":                            "https://shop.example/#a%2Fb%20%26c%3F",
		"https://shop.example/?q={{ customer.v | url_encode }}":             "https://shop.example/?q=a%2Fb+%26c%3F",
		"https://shop.example/?q={{ customer.v | append: '| url_encode' }}": "https://shop.example/?q=a%2Fb%20%26c%3F%7C%20url_encode",
		"https://shop.example/{% if customer.v %}y{% else %}n{% endif %}":   "https://shop.example/y",
		"https://shop.example/{{- customer.w -}}/x":                         "https://shop.example//x",
		"https://shop.example/?n={{ customer.n }}":                          "https://shop.example/?n=12.5",
		"myapp://sale/{{ customer.v }}":                                     "myapp://sale/a%2Fb%20%26c%3F",
		"tel:+371{{ customer.n }}":                                          "tel:+37112.5",
	} {
		_, got, err := compiled(t, `{}`, link).Render("c", map[string]any{"v": "a/b &c?", "n": 12.5})
		if got != want || err != nil {
			t.Errorf("%s became %s, %v; want %s", link, got, err, want)
		}
	}
}

func TestLinksWhoseHostAValueCouldChooseAreRefused(t *testing.T) {
	t.Parallel()
	for _, link := range []string{
		"https:evil{{ customer.v }}", `https:\\{{ customer.v }}`, `https:\\evil{{ customer.v }}`, "https://\t/{{ customer.v }}",
		"https://a b/{{ customer.v }}", "https:///{{ customer.v }}", "https://x.example:{{ customer.v }}/", "https://user@{{ customer.v }}/",
		"https://x.example{{ customer.v }}", "HTTPS:x{{ customer.v }}", "javascript:a{{ customer.v }}", "JavaScript://x/%0a{{ customer.v }}",
		"data:text/html,{{ customer.v }}", "myapp://{{ customer.v }}", "{% if 1 %}https://x.example/{% endif %}", " https://x.example/{{ customer.v }}",
		"https://x.example/\n{{ customer.v }}", `https://x.example/\{{ customer.v }}`, "https://x.example/../{{ customer.v }}",
	} {
		if _, faults := personal.Compile(json.RawMessage(`{}`), link); len(faults) == 0 || faults[0].Location != "body.link" {
			t.Errorf("%q: %v; want a fault", link, faults)
		}
	}
}

func TestDotsDoNotLeadOutOfAPath(t *testing.T) {
	t.Parallel()
	x := compiled(t, `{}`, "https://shop.example/u/{{ customer.v }}{{ customer.w }}/p?back={{ customer.v }}")
	for _, attributes := range []map[string]any{{"v": ".."}, {"v": "."}, {"v": ".", "w": "."}} {
		if _, link, err := x.Render("c", attributes); !errors.Is(err, personal.ErrElsewhere) {
			t.Errorf("%v became %s, %v; want ErrElsewhere", attributes, link, err)
		}
	}
	if _, link, err := x.Render("c", map[string]any{"v": "a..b"}); link != "https://shop.example/u/a..b/p?back=a..b" || err != nil {
		t.Errorf("a..b became %s, %v", link, err)
	}
}

// Whatever a value is, the link keeps its scheme, host, number of path segments
// and parameters, and the value arrives as it was.
func FuzzLink(f *testing.F) {
	x, faults := personal.Compile(json.RawMessage(`{}`), "https://shop.example/a/{{ customer.v }}/b?q={{ customer.v }}&r={{ customer.v | url_encode }}#{{ customer.v }}")
	if len(faults) > 0 {
		f.Fatal(faults)
	}
	for _, v := range []string{"", "a b", "../..", "..", "%2e%2e", "?x=1&y#z", "//evil.example", "@evil", "\\", "\r\n", "ā😀", "{{ customer.id }}"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		_, link, err := x.Render("c", map[string]any{"v": v})
		if err != nil {
			if !errors.Is(err, personal.ErrTooLarge) && !errors.Is(err, personal.ErrElsewhere) {
				t.Errorf("%q: %v", v, err)
			}
			return
		}
		u, err := url.Parse(link)
		if err != nil || u.Scheme != "https" || u.Host != "shop.example" || strings.Count(u.EscapedPath(), "/") != 3 {
			t.Fatalf("%q made %s, %v", v, link, err)
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(q) != 2 || q.Get("q") != v || q.Get("r") != v {
			t.Errorf("%q made the parameters %v, %v", v, q, err)
		}
		if utf8.ValidString(v) && (u.Path != "/a/"+v+"/b" || u.Fragment != v) {
			t.Errorf("%q made the path %q and the fragment %q", v, u.Path, u.Fragment)
		}
	})
}
