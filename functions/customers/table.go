package customers

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"carillon.example/shared/push"
)

// A csvTable is the body of a CSV import: a header that names the columns, and rows.
type csvTable struct {
	columns []column
	body    []byte
	at      int // index in body of the next row
	line    int // the line of that index, counted from 1
}

// openTable reads the header. Its errors are push.Faults: the rows cannot be read
// then.
func openTable(body []byte) (*csvTable, error) {
	t := &csvTable{body: body, line: 1}
	names, _, err := t.readRow()
	if errors.Is(err, io.EOF) {
		return nil, push.Faults{{Location: "body", Message: "has no header that names the columns"}}
	}
	if err != nil {
		return nil, push.Faults{{Location: "body", Message: "the header cannot be read: " + err.Error()}}
	}

	var faults push.Faults
	t.columns, faults = parseHeader(names)
	return t, limitFaults(faults, "body").Err()
}

// readRow reads a row, and returns the line that it begins in. After the last row it
// returns io.EOF; any other error is about this row alone.
//
// A row that cannot be read ends with its first line. What follows an unclosed quote
// is read as rows of its own, so that no customer is lost inside a text.
func (t *csvTable) readRow() (cells []string, line int, err error) {
	t.skipBytes(len(t.body[t.at:]) - len(bytes.TrimLeft(t.body[t.at:], "\r\n")))
	if t.at == len(t.body) {
		return nil, t.line, io.EOF
	}
	rest, line := t.body[t.at:], t.line
	window := rest[:min(len(rest), maxLineBytes+1)]
	r := csv.NewReader(bytes.NewReader(window))
	cells, err = r.Read()
	length := int(r.InputOffset())

	if err == nil && length > maxLineBytes {
		err = fmt.Errorf("the line is longer than %d bytes", maxLineBytes)
	}
	if err != nil {
		length = len(rest)
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			length = end + 1
		}
	}
	t.skipBytes(length)
	return cells, line, explainRowError(err)
}

// skipBytes moves n bytes ahead.
func (t *csvTable) skipBytes(n int) {
	t.line += bytes.Count(t.body[t.at:t.at+n], []byte("\n"))
	t.at += n
}

// explainRowError returns why a row cannot be read. It does not use the text of encoding/csv,
// which counts lines from the row.
func explainRowError(err error) error {
	switch {
	case errors.Is(err, csv.ErrBareQuote):
		return errors.New("a quote stands in a cell that does not begin with one; put the cell in quotes, and each quote in it twice")
	case errors.Is(err, csv.ErrQuote):
		return errors.New("a quote is not closed, or something stands behind the closing one; a quote in a cell is written twice")
	}
	return err
}

// checkRow returns faults of a row before its cells are read one by one.
func (t *csvTable) checkRow(cells []string) error {
	if len(cells) != len(t.columns) {
		return fmt.Errorf("the line has %d cells, and the header %d columns", len(cells), len(t.columns))
	}
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			return push.Faults{{Location: t.columns[i].name, Message: "is not UTF-8"}}
		}
	}
	return nil
}

// isBlank reports whether a row is empty: spreadsheets leave such rows at the end.
func isBlank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(cell string) bool { return cell != "" })
}

// parseTable reads the rows of a CSV body.
func (s *service) parseTable(body []byte) (*importLines, error) {
	t, err := openTable(body)
	if err != nil {
		return nil, err
	}

	out := newImportLines()
	for {
		cells, line, err := t.readRow()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err == nil && isBlank(cells) {
			continue
		}
		out.read++
		if err == nil {
			err = t.checkRow(cells)
		}
		if err != nil {
			out.faulty[line] = err
			continue
		}

		l, faults := s.parseRow(t.columns, cells)
		if len(faults) > 0 {
			out.faulty[line] = limitFaults(faults, "line")
			continue
		}
		out.joinRow(l, line, s.MaxTokens)
	}
}
