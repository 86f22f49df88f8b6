package progress

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// ReadableLog replaces os.Stdout, to which the functions log JSON for Cloud Logging, and
// writes the lines in a readable form. It changes nothing if standard output is not a
// terminal. The returned function restores os.Stdout.
func ReadableLog() (end func()) {
	if !IsTerminal(os.Stdout) {
		return func() {}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return func() {}
	}

	real, done := os.Stdout, make(chan struct{})
	os.Stdout = w
	go func() {
		defer close(done)
		CopyReadable(real, r)
	}()

	return func() {
		os.Stdout = real
		_ = w.Close() // the reader gets io.EOF
		<-done
	}
}

// IsTerminal reports whether a file is a terminal.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// CopyReadable copies lines, and writes those of a JSON log in a readable form.
func CopyReadable(out io.Writer, in io.Reader) {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			_, _ = io.WriteString(out, readableLine(line)) // an error means that the terminal has closed
		}
		if err != nil {
			return
		}
	}
}

// readableLine returns a line of a JSON log as time, severity, message, and the other
// attributes as name=value. It returns any other line unchanged.
func readableLine(line string) string {
	var entry map[string]any
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &entry) != nil || entry["message"] == nil {
		return line
	}

	at := time.Now()
	if text, ok := entry["time"].(string); ok {
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			at = t
		}
	}

	b := fmt.Appendf(nil, "%s %-7v %v", at.Local().Format("15:04:05.000"), entry["severity"], entry["message"])
	for _, name := range []string{"time", "severity", "message"} {
		delete(entry, name)
	}

	for _, name := range slices.Sorted(maps.Keys(entry)) {
		text, ok := entry[name].(string)
		if !ok {
			j, err := json.Marshal(entry[name])
			if err != nil {
				continue
			}
			text = string(j)
		}
		b = fmt.Appendf(b, " %s=%s", name, text)
	}

	return string(b) + "\n"
}
