package chaos

import (
	"bytes"
	"io"
	"sync"

	"carillon.example/shared/push"
)

// A panicLog passes on the logs of the functions, and keeps the lines that report a
// panic. Every panic is a broken promise; a handler that recovers would hide it.
type panicLog struct {
	next  io.Writer
	mu    sync.Mutex // guards lines, and writes to next
	lines []string
}

// panicTexts are the texts with which the net/http server, our handlers and the
// runtime report a panic.
var panicTexts = [][]byte{[]byte("panic serving"), []byte("a handler panicked"), []byte("panic: "), []byte("fatal error: ")}

// Write takes the output of a process: whole lines.
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

// addFindings adds a finding for each panic.
func (p *panicLog) addFindings(x *checker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		x.addFinding(brokenOther, "a function panicked: %s", line)
	}
}
