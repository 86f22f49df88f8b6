package personal

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/osteele/liquid/parser"
)

// The engine by itself, without the fence before it, has no way out either.
func TestTheEngineHasNothingToFence(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		"{% include '/etc/hosts' %}", "{% for i in (1..9) %}{% endfor %}", "{% tablerow i in (1..9) %}{% endtablerow %}",
		"{% assign a = 1 %}", "{% capture a %}{% endcapture %}", "{% cycle 'a', 'b' %}", "{% case 1 %}{% when 1 %}{% endcase %}",
		"{% raw %}{% endraw %}", "{% comment %}{% endcomment %}",
	} {
		if _, err := newEngine().Compile(source, parser.SourceLoc{}); err == nil || !strings.Contains(err.Error(), "undefined tag") {
			t.Errorf("%s: %v; want it undefined", source, err)
		}
	}
}

func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", `a"b\c`, "\x00\x1f\x7f\n\r\t", "\u2028\u2029", "a\xffb", "😀</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := appendQuoted(nil, s)
		var got string
		if err := json.Unmarshal(quoted, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, quoted, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); got != want {
			t.Errorf("%q came back as %q", want, got)
		}
		if strings.ContainsAny(string(quoted), "\u2028\u2029") || strings.ContainsFunc(string(quoted), func(r rune) bool { return r < ' ' }) {
			t.Errorf("%q has raw controls or line separators", quoted)
		}
	})
}
