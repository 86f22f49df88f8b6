// Package snapshottest has the checks that the snapshots of every emulator must pass.
package snapshottest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

// errFull is the error of a writer that takes no more.
var errFull = errors.New("the disk is full")

// A Limited writer takes Left bytes and then fails.
type Limited struct {
	Left    int
	Written bytes.Buffer // what was taken
}

// Write implements io.Writer.
func (l *Limited) Write(b []byte) (int, error) {
	n := min(len(b), l.Left)
	l.Left -= n
	l.Written.Write(b[:n])
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

// CheckFaults checks, for each offset of a snapshot, that save fails when its writer fails there,
// and that load refuses what was written until then.
func CheckFaults(t *testing.T, save func(io.Writer) error, load func(io.Reader) error) {
	t.Helper()
	var whole bytes.Buffer
	if err := save(&whole); err != nil {
		t.Fatalf("saving: %v", err)
	}
	if err := load(bytes.NewReader(whole.Bytes())); err != nil {
		t.Fatalf("loading what was saved: %v", err)
	}

	for offset := range whole.Len() {
		w := &Limited{Left: offset}
		if err := save(w); !errors.Is(err, errFull) {
			t.Fatalf("saving to a disk that is full after %d bytes: the error is %v, want %v", offset, err, errFull)
		}
		check.MustEqual(t, w.Written.Len(), offset, "the number of bytes that were written to a disk with room for %d", offset)
		if err := load(&w.Written); err == nil {
			t.Fatalf("a snapshot that was cut after %d of %d bytes was loaded, want an error", offset, whole.Len())
		}
	}
}

// WithoutTime returns a snapshot without its first line, which has the time.
func WithoutTime(text []byte) string {
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	return string(rest)
}
