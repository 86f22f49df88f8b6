package snapshot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A header is the first line.
type header struct {
	Snapshot string `json:"snapshot"`
	Version  int    `json:"version"`
	At       string `json:"at"`
}

// timeForm writes the time of the first line always with the same length.
const timeForm = "2006-01-02T15:04:05.000000Z07:00"

// An ending is the last line.
type ending struct {
	End *struct {
		Lines *int `json:"lines"`
	} `json:"end"`
}

// endPrefix is what only the last line begins with.
var endPrefix = []byte(`{"end"`)

// bufferSize is the size of the buffers for writing and reading, in bytes.
const bufferSize = 64 << 10

// A Writer writes a snapshot line by line. It keeps the first error of the writer below it and
// returns it from every later call, so a caller may check only the error of End.
type Writer struct {
	out   *bufio.Writer
	lines int
	err   error
}

// NewWriter writes the first line. emulator names the emulator, version is that of the form of
// its lines, and at is the time of the state.
func NewWriter(w io.Writer, emulator string, version int, at time.Time) *Writer {
	s := &Writer{out: bufio.NewWriterSize(w, bufferSize)}
	s.writeJSON(header{emulator, version, at.UTC().Format(timeForm)})
	return s
}

// WriteLine writes a JSON object that contains no line break.
func (s *Writer) WriteLine(object []byte) error {
	s.lines++
	s.write(object)
	return s.err
}

// Write writes a value as a JSON object in a line.
func (s *Writer) Write(v any) error {
	s.lines++
	s.writeJSON(v)
	return s.err
}

// End writes the last line. Without it a reader refuses the snapshot.
func (s *Writer) End() error {
	fmt.Fprintf(s.out, "{\"end\":{\"lines\":%d}}\n", s.lines)
	if err := s.out.Flush(); s.err == nil {
		s.err = err
	}
	return s.err
}

func (s *Writer) writeJSON(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		if s.err == nil {
			s.err = fmt.Errorf("encoding line %d: %w", s.lines, err)
		}
		return
	}
	s.write(b)
}

func (s *Writer) write(object []byte) {
	if s.err != nil {
		return
	}
	if _, s.err = s.out.Write(object); s.err == nil {
		s.err = s.out.WriteByte('\n')
	}
}

// An InvalidError says why a snapshot cannot be used: it is cut, it is of another emulator or
// version, or a line is wrong. Reading it again does not help.
type InvalidError struct{ reason string }

// Error implements error.
func (e *InvalidError) Error() string { return e.reason }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }

// errCut is the error of a snapshot that has no last line.
var errCut = invalid("the file is cut: its last line, which has the number of lines, is missing")

// A Reader reads a snapshot line by line.
type Reader struct {
	in    *bufio.Reader
	at    time.Time
	line  []byte // the last line, when it was longer than the buffer of in
	lines int    // lines of the emulator that were read
}

// NewReader reads the first line. It returns an InvalidError that names the difference if the
// snapshot is of another emulator or another version.
func NewReader(r io.Reader, emulator string, version int) (*Reader, error) {
	s := &Reader{in: bufio.NewReaderSize(r, bufferSize)}
	text, err := s.readLine()
	if err != nil {
		return nil, err
	}

	var h header
	if err := json.Unmarshal(text, &h); err != nil || h.Snapshot == "" {
		return nil, invalid("the first line is not that of a snapshot")
	}
	if h.Snapshot != emulator {
		return nil, invalid("it is a snapshot of %q, want one of %q", h.Snapshot, emulator)
	}
	if h.Version != version {
		return nil, invalid("it has version %d of the form, and this program reads version %d only", h.Version, version)
	}

	if s.at, err = time.Parse(time.RFC3339, h.At); err != nil {
		return nil, invalid("the first line has no valid time: %v", err)
	}
	return s, nil
}

// At returns the time of the state.
func (s *Reader) At() time.Time { return s.at }

// Next returns the next line, without its line break, until the following call. It returns
// io.EOF after the last line if the snapshot is complete, an InvalidError if it is not, and
// another error if the reader below fails.
func (s *Reader) Next() ([]byte, error) {
	text, err := s.readLine()
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(text, endPrefix) {
		s.lines++
		return text, nil
	}

	var e ending
	if err := json.Unmarshal(text, &e); err != nil || e.End == nil || e.End.Lines == nil {
		return nil, invalid("the last line is not valid")
	}
	if *e.End.Lines != s.lines {
		return nil, invalid("the file has %d lines between the first and the last one, and its last line says %d", s.lines, *e.End.Lines)
	}
	switch _, err := s.in.ReadByte(); {
	case err == nil:
		return nil, invalid("the file goes on after its last line")
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("reading: %w", err)
	}
	return nil, io.EOF
}

// Each calls load with each line that is left, in order. It returns the errors of Next but
// io.EOF, and for an error of load an InvalidError that names the line.
func (s *Reader) Each(load func(line []byte) error) error {
	for {
		line, err := s.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := load(line); err != nil {
			return s.Fault(err)
		}
	}
}

// Decode decodes a line, and refuses fields that v does not have.
func Decode(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Fault returns an InvalidError about the line that Next returned last.
func (s *Reader) Fault(err error) error { return invalid("line %d: %v", s.lines+1, err) }

// readLine returns a line that ends with a line break. A line that has none is cut.
func (s *Reader) readLine() ([]byte, error) {
	text, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		s.line = append(s.line[:0], text...)
		for errors.Is(err, bufio.ErrBufferFull) {
			text, err = s.in.ReadSlice('\n')
			s.line = append(s.line, text...)
		}
		text = s.line
	}

	switch {
	case errors.Is(err, io.EOF):
		return nil, errCut
	case err != nil:
		return nil, fmt.Errorf("reading: %w", err)
	}
	return text[:len(text)-1], nil
}
