package chaos

import (
	"bytes"
	"io"
	"sync"

	"carillon.example/shared/push"
)

// panics passes on what functions log, and keeps what tells that one panicked:
// nothing may, and what answers for a panic would hide it.
type panics struct {
	to    io.Writer
	mu    sync.Mutex
	lines []string
}

// signs are how the net/http server, our own handlers and the runtime tell it.
var signs = [][]byte{[]byte("panic serving"), []byte("a handler panicked"), []byte("panic: "), []byte("fatal error: ")}

// Write takes what a process has written: whole lines.
func (p *panics) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range bytes.Lines(b) {
		for _, s := range signs {
			if bytes.Contains(line, s) {
				p.lines = append(p.lines, push.Truncate(string(line), 300))
				break
			}
		}
	}
	return p.to.Write(b) //nolint:wrapcheck // a writer's errors are the writer's
}

// examine says what panicked.
func (p *panics) examine(x *exam) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		x.say(brokenOther, "a function panicked: %s", line)
	}
}
