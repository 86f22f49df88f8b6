package chaos

import (
	"bytes"
	"io"
	"sync"

	"carillon.example/shared/push"
)

// panics passes on what functions log, and keeps what tells that one panicked:
// nothing may, and what answers for a panic would hide it.
type panicLog struct {
	next  io.Writer
	mu    sync.Mutex
	lines []string
}

// signs are how the net/http server, our own handlers and the runtime tell it.
var panicTexts = [][]byte{[]byte("panic serving"), []byte("a handler panicked"), []byte("panic: "), []byte("fatal error: ")}

// Write takes what a process has written: whole lines.
func (p *panicLog) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range bytes.Lines(b) {
		for _, s := range panicTexts {
			if bytes.Contains(line, s) {
				p.lines = append(p.lines, push.Truncate(string(line), 300))
				break
			}
		}
	}
	return p.next.Write(b) //nolint:wrapcheck // a writer's errors are the writer's
}

// examine says what panicked.
func (p *panicLog) addFindings(x *checker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		x.addFinding(brokenOther, "a function panicked: %s", line)
	}
}
