package personal

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/osteele/liquid/parser"
)

// TestTheEngineHasNothingToFence checks that the engine without templateCheck has no tags
// that read files, loop or assign.
func TestTheEngineHasNothingToFence(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		"{% include '/etc/hosts' %}", "{% for i in (1..9) %}{% endfor %}", "{% tablerow i in (1..9) %}{% endtablerow %}",
		"{% assign a = 1 %}", "{% capture a %}{% endcapture %}", "{% cycle 'a', 'b' %}", "{% case 1 %}{% when 1 %}{% endcase %}",
		"{% raw %}{% endraw %}", "{% comment %}{% endcomment %}",
	} {
		t.Run(source, func(t *testing.T) {
			_, err := newEngine().Compile(source, parser.SourceLoc{})
			switch {
			case err == nil:
				t.Errorf("%s: there is no error, want undefined tag", source)
			case !strings.Contains(err.Error(), "undefined tag"):
				t.Errorf("%s: the error is %v, want undefined tag", source, err)
			}
		})
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
			t.Errorf("%q is decoded as %q, want %q", quoted, got, want)
		}
		if strings.ContainsAny(string(quoted), "\u2028\u2029") {
			t.Errorf("%q has line separators that are not escaped", quoted)
		}
		if strings.ContainsFunc(string(quoted), func(r rune) bool { return r < ' ' }) {
			t.Errorf("%q has control characters that are not escaped", quoted)
		}
	})
}
