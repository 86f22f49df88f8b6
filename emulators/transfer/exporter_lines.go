package transfer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"carillon.example/emulators/client"
	"carillon.example/shared/push"
)

// maxLineBytes is larger than any line: an id has at most 256 bytes, and JSON encodes a
// byte in at most six.
const maxLineBytes = 64 << 10

// keepLines writes the lines of a response.
func (x *exporter) keepLines(r *bufio.Reader) error {
	for begun := false; ; {
		line, err := wholeLine(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		had := x.heading
		id, err := x.recordLine(line)
		switch {
		case err != nil:
			return err
		case id == "" && had:
			continue // an earlier response had the heading
		case id != "" && !begun && x.customers > 1 && id == x.first:
			return errors.New("the response starts from the first customer again: this API does not support the parameter after")
		}
		begun = begun || id != ""
		if _, err := x.out.Write(line); err != nil {
			return err
		}
		x.lines++
	}
}

// wholeLine reads a line with its line end. It returns io.EOF after the last line. If
// the response breaks off, the error is Temporary; for a line without its end it wraps
// io.ErrUnexpectedEOF.
func wholeLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == nil:
		return line, nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("a line is longer than %d bytes: this is not an export", maxLineBytes)
	case errors.Is(err, io.EOF) && len(line) == 0:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return nil, &client.Temporary{Err: fmt.Errorf("broke off: %w", err)}
}

// recordLine stores the customer of a line as the last one, and returns the customer's
// id. It returns "" for the heading of a CSV.
func (x *exporter) recordLine(line []byte) (string, error) {
	id, err := x.format.id(line)
	if err != nil {
		return "", err
	}
	if id == "" {
		x.heading = true
		return "", nil
	}
	if x.customers++; x.customers == 1 {
		x.first = id
	}

	x.last = id
	if x.customers%1000 == 0 {
		part := shareExported(id)
		x.bar.Draw(part, fmt.Sprintf("%.0f %% %d customers", 100*part, x.customers))
	}
	return id, nil
}

// shareExported returns the share of an export, 0 to 1, up to a customer. The number of
// customers is not known in advance. But they come in the order of their keys, which are
// hashes in base 32 and so are evenly distributed.
func shareExported(id string) float64 {
	n, _ := strconv.ParseUint(push.CustomerKey(id)[:4], 32, 64)
	return float64(n) / (1 << 20)
}

// A format is a file format, with a function that reads the customer's id from a line.
type format struct {
	name, media string
	id          func(line []byte) (string, error) // returns "" for a heading
}

var formats = map[string]format{
	"ndjson": {"ndjson", "application/x-ndjson", objectID},
	"csv":    {"csv", "text/csv", rowID},
}

func objectID(line []byte) (string, error) {
	var l struct{ ID string }
	if err := json.Unmarshal(line, &l); err != nil || l.ID == "" {
		return "", errors.New("a line is not a customer in NDJSON")
	}
	return l.ID, nil
}

// rowID reads the first cell. The cell is always in quotes; the heading is not. An
// apostrophe precedes an id that a spreadsheet would read as a formula, and an id that
// begins with an apostrophe.
func rowID(line []byte) (string, error) {
	if bytes.HasPrefix(line, []byte("id,")) {
		return "", nil
	}
	rest, quoted := bytes.CutPrefix(line, []byte(`"`))
	var id []byte
	for quoted {
		var cell []byte
		if cell, rest, quoted = bytes.Cut(rest, []byte(`"`)); !quoted {
			break
		}
		id = append(id, cell...)
		switch {
		case bytes.HasPrefix(rest, []byte(`"`)):
			id, rest = append(id, '"'), rest[1:]
		case bytes.HasPrefix(rest, []byte(",")) && len(id) > 0:
			return string(bytes.TrimPrefix(id, []byte("'"))), nil
		default:
			quoted = false
		}
	}

	return "", errors.New("a line is not a customer in CSV")
}
