package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/snapshot/snapshottest"
	"carillon.example/emulators/testcloud/check"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 1000, time.UTC)

// longLines are lines of lengths around the size of the buffers.
func longLines() (lines []string) {
	for _, n := range []int{0, 1, bufferSize - 20, bufferSize - 1, bufferSize, bufferSize + 1, 3*bufferSize + 7, 2} {
		lines = append(lines, fmt.Sprintf(`{"x":%q}`, strings.Repeat("x", n)))
	}
	return lines
}

func TestLinesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := NewWriter(&b, "test", 3, noon)
	for _, l := range longLines() {
		if err := w.WriteLine([]byte(l)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}

	r, err := NewReader(&b, "test", 3)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, r.At(), noon, "the time")
	for i, want := range longLines() {
		got, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("line %d has %d bytes and is not what was written, want %d bytes", i, len(got), len(want))
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last line the error is %v, want io.EOF", err)
	}
}

// readAll reads a snapshot to its end.
func readAll(in io.Reader) error {
	r, err := NewReader(in, "test", 1)
	for err == nil {
		_, err = r.Next()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func TestAFileIsCompleteOrRefused(t *testing.T) {
	t.Parallel()
	snapshottest.CheckFaults(t, func(out io.Writer) error {
		w := NewWriter(out, "test", 1, noon)
		_ = w.Write(map[string]string{"end of": "a line"}) // End returns its error
		_ = w.WriteLine([]byte(`{"x":"é"}`))
		return w.End()
	}, readAll)
}

// TestAReaderThatFailsIsNoCutFile checks that the error of a disk is not taken for the end.
func TestAReaderThatFailsIsNoCutFile(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	head := `{"snapshot":"test","version":1,"at":"2026-11-28T00:00:00Z"}` + "\n"
	for _, text := range []string{"", head, head + `{"x":`, head + `{"end":{"lines":0}}` + "\n"} {
		if err := readAll(io.MultiReader(strings.NewReader(text), &failing{broken})); !errors.Is(err, broken) {
			t.Errorf("after %q the error is %v, want %v", text, err, broken)
		}
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func TestAValueThatIsNoJSONFailsAtTheEnd(t *testing.T) {
	t.Parallel()
	w := NewWriter(io.Discard, "test", 1, noon)
	_ = w.Write(func() {}) // End returns its error
	check.Error(t, "the end", w.End(), "encoding line 1")
}
