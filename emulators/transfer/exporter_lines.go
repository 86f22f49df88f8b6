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

// maxLineBytes is more than any line has in bytes: an id has at most 256, and
// JSON makes six of one at most.
const maxLineBytes = 64 << 10

// keepLines keeps the lines of an answer.
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
			continue // it came before something broke off
		case id != "" && !begun && x.customers > 1 && id == x.first:
			return errors.New("the answer begins anew: this API does not know after")
		}
		begun = begun || id != ""
		if _, err := x.out.Write(line); err != nil {
			return err
		}
		x.lines++
	}
}

// wholeLine reads a line with its end. What breaks off within one or between
// two comes later; the error of a line without end is io.ErrUnexpectedEOF.
func wholeLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == nil:
		return line, nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("a line is longer than %d bytes: this is no export", maxLineBytes)
	case errors.Is(err, io.EOF) && len(line) == 0:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return nil, &client.Temporary{Err: fmt.Errorf("broke off: %w", err)}
}

// recordLine reads a line and remembers where it leads; "" is the heading of a CSV.
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

// shareExported is how much of an export is behind a customer, 0 to 1. Nobody counts
// customers before they come, but they come in the order of their keys, which
// are hashes in base 32: evenly spread.
func shareExported(id string) float64 {
	n, _ := strconv.ParseUint(push.CustomerKey(id)[:4], 32, 64)
	return float64(n) / (1 << 20)
}

// A format is how a line tells its customer.
type format struct {
	name, media string
	id          func(line []byte) (string, error) // "" of a heading
}

var formats = map[string]format{
	"ndjson": {"ndjson", "application/x-ndjson", objectID},
	"csv":    {"csv", "text/csv", rowID},
}

func objectID(line []byte) (string, error) {
	var l struct{ ID string }
	if err := json.Unmarshal(line, &l); err != nil || l.ID == "" {
		return "", errors.New("a line is no NDJSON of a customer")
	}
	return l.ID, nil
}

// rowID reads the first cell. It is always in quotes, which tells it from the
// heading, and has an apostrophe before what a spreadsheet would take for a
// formula, and before an apostrophe.
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

	return "", errors.New("a line is no CSV of a customer")
}
