package fcm

import (
	"encoding/json"
	"strings"
	"testing"
)

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "ä€😀", "\xff\xc0\x80a\xe2\x82", "\u2028<>&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendQuoted(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q becomes %q: %v", s, got, err)
		}

		std, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}

		var want string
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		if back != want {
			t.Errorf("%q reads as %q, with encoding/json as %q", s, back, want)
		}
	})
}

func TestEscapeAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 1024)
	s := strings.Repeat(`a"b`, 50)
	if n := testing.AllocsPerRun(100, func() { appendEscaped(dst, s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
