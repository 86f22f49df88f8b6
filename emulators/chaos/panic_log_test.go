package chaos

import (
	"strings"
	"testing"
)

// TestPanicsAreBrokenPromises: the run finds panics in the logs of the functions.
func TestPanicsAreBrokenPromises(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	p := &panicLog{next: &log}
	for _, lines := range []string{
		`{"severity":"INFO","message":"batch call ended"}` + "\n", "{\"message\":\"http: panic serving 127.0.0.1:1: runtime error\"}\n{\"message\":\"tick done\"}\n",
		`{"severity":"ERROR","message":"a handler panicked","panic":"x"}` + "\n", "fatal error: concurrent map writes\n",
	} {
		t.Run(lines, func(t *testing.T) {
			n, err := p.Write([]byte(lines))
			if err != nil {
				t.Errorf("writing %q: %v", lines, err)
			}
			if n != len(lines) {
				t.Errorf("%d bytes were written, want %d", n, len(lines))
			}
		})
	}

	x := &checker{}
	p.addFindings(x)
	if got := x.counts[brokenOther]; got != 3 {
		t.Errorf("%d panics were found, want 3, in\n%s", got, log.String())
	}
	if got := strings.Count(log.String(), "\n"); got != 5 {
		t.Errorf("%d lines were passed on, want 5", got)
	}
}
