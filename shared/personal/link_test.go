package personal_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

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
		t.Run(link, func(t *testing.T) {
			_, got, err := compiled(t, `{}`, link).Render("c", map[string]any{"v": "a/b &c?", "n": 12.5})
			if err != nil {
				t.Errorf("%s: %v", link, err)
			}
			if got != want {
				t.Errorf("%s became %s, want %s", link, got, want)
			}
		})
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
		t.Run(link, func(t *testing.T) {
			switch _, faults := personal.Compile(json.RawMessage(`{}`), link); {
			case len(faults) == 0:
				t.Errorf("%q: there is no fault, want one at body.link", link)
			case faults[0].Location != "body.link":
				t.Errorf("%q: the first fault is at %s, want body.link", link, faults[0].Location)
			}
		})
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

	_, link, err := x.Render("c", map[string]any{"v": "a..b"})
	if err != nil {
		t.Errorf("a..b: %v", err)
	}
	if want := "https://shop.example/u/a..b/p?back=a..b"; link != want {
		t.Errorf("a..b became %s, want %s", link, want)
	}
}

// FuzzLink checks that with any value the link keeps its scheme, its host and the number of
// its path segments and parameters, and that the link contains the value as it was.
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
		if err != nil {
			t.Fatalf("%q made %s: %v", v, link, err)
		}
		if origin := u.Scheme + "://" + u.Host; origin != "https://shop.example" {
			t.Errorf("%q made the origin %s, want https://shop.example", v, origin)
		}
		if n := strings.Count(u.EscapedPath(), "/"); n != 3 {
			t.Errorf("%q made the path %s with %d segments, want 3", v, u.EscapedPath(), n)
		}

		q, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			t.Errorf("%q made the query %s: %v", v, u.RawQuery, err)
		}
		if diff := cmp.Diff(url.Values{"q": {v}, "r": {v}}, q); diff != "" {
			t.Errorf("%q made other parameters (-want +got):\n%s", v, diff)
		}

		if !utf8.ValidString(v) {
			return
		}
		if want := "/a/" + v + "/b"; u.Path != want {
			t.Errorf("%q made the path %q, want %q", v, u.Path, want)
		}
		if u.Fragment != v {
			t.Errorf("%q made the fragment %q, want the value", v, u.Fragment)
		}
	})
}
