package chaos

import (
	"strings"
	"testing"
)

// TestPanicsAreBrokenPromises: the run finds them in the functions' log.
func TestPanicsAreBrokenPromises(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	p := &panicLog{next: &log}
	for _, lines := range []string{
		`{"severity":"INFO","message":"batch finished"}` + "\n", "{\"message\":\"http: panic serving 127.0.0.1:1: runtime error\"}\n{\"message\":\"tick done\"}\n",
		`{"severity":"ERROR","message":"a handler panicked","panic":"x"}` + "\n", "fatal error: concurrent map writes\n",
	} {
		if n, err := p.Write([]byte(lines)); n != len(lines) || err != nil {
			t.Errorf("%d of %d bytes were taken, %v", n, len(lines), err)
		}
	}
	x := &checker{}
	p.addFindings(x)
	if x.counts[brokenOther] != 3 || strings.Count(log.String(), "\n") != 5 {
		t.Errorf("%d panics were found in\n%s", x.counts[brokenOther], log.String())
	}
}
