package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/progress"
)

// What one request to /v1/imports carries: the API takes 5,000 lines or 16 MiB.
const (
	chunkLines = 2000
	chunkBytes = 8 << 20
	lineBytes  = 1 << 20 // a longer line is refused here
)

// importKinds are the media types of what can be imported, by format.
var importKinds = map[string]string{"ndjson": "application/x-ndjson", "csv": "text/csv"}

// importFile streams an NDJSON or CSV file of customers to a deployment, or to
// this machine's emulators.
func importFile(ctx context.Context, args []string, out io.Writer) error {
	f := newFlags("import")
	var to client.Remote
	to.RegisterFlags(f, "to")
	format := f.String("format", "", "ndjson or csv (default: csv where FILE ends in .csv, else ndjson)")
	from := f.Int("from", 1, "the line to begin with: where an import broke off")
	if err := parse(f, args, out); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return errors.New("import: name one file, or - for standard input")
	}
	if *format == "" {
		*format = formatOf(f.Arg(0))
	}

	kind, ok := importKinds[*format]
	if !ok {
		return fmt.Errorf("import: -format: unknown format %q: use ndjson or csv", *format)
	}

	c, err := to.Client()
	if err != nil {
		return fmt.Errorf("import: -to: %w", err)
	}

	in, size, err := openInput(f.Arg(0))
	if err != nil {
		return err
	}

	defer in.Close()
	im := &importer{Client: c, kind: kind, out: out, bar: progress.NewBar(out, "import"), size: size, from: *from, pause: client.RetryPause}
	if err := im.stream(ctx, in); err != nil {
		return err
	}

	im.bar.End()
	fmt.Fprintf(out, "%d %s imported, %d lines refused\n", im.imported, im.unit(), im.failed)
	if im.failed > 0 {
		return fmt.Errorf("%d lines were refused", im.failed)
	}
	return nil
}

// formatOf is the format of a file by its name.
func formatOf(name string) string {
	if strings.EqualFold(filepath.Ext(name), ".csv") {
		return "csv"
	}
	return "ndjson"
}

func openInput(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// An importer sends a file in chunks and adds up the answers.
type importer struct {
	*client.Client
	kind             string // the file's media type
	header           []byte // of a CSV file: each chunk begins with it
	out              io.Writer
	bar              *progress.Bar
	size, read       int64
	from             int // lines before it are skipped
	pause            time.Duration
	lines            int // read so far
	imported, failed int
}

// stream reads the file line by line: its size is no matter of memory.
func (im *importer) stream(ctx context.Context, in io.Reader) error {
	r := bufio.NewReaderSize(in, lineBytes)
	c := &chunk{}
	for {
		line, err := im.next(r)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("behind line %d: %w", im.lines, err)
		}
		if c.n > 0 && (end || c.full(len(line))) {
			if err := im.send(ctx, c); err != nil {
				return err
			}
			c = &chunk{}
		}
		switch {
		case end:
			return nil
		case im.isHeader():
			im.header = append(bytes.Clone(line), '\n')
		case im.lines >= im.from:
			c.add(line, im)
		}
	}
}

// isHeader reports whether the line just read names the columns.
func (im *importer) isHeader() bool { return im.kind == importKinds["csv"] && im.lines == 1 }

// next reads a line; one that is too long counts as refused and comes out
// empty, so that the others keep their numbers.
func (im *importer) next(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	im.read += int64(len(line))
	if len(line) == 0 && err != nil {
		return nil, err
	}

	im.lines++
	if !errors.Is(err, bufio.ErrBufferFull) {
		if errors.Is(err, io.EOF) {
			err = nil // the end comes with the next call
		}
		return bytes.TrimRight(line, "\r\n"), err
	}

	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.ReadSlice('\n')
		im.read += int64(len(line))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if im.lines >= im.from {
		im.refuse(im.lines, fmt.Sprintf("is longer than %d bytes", lineBytes))
		im.failed++
	}

	return nil, nil
}

func (im *importer) refuse(line int, why string) {
	fmt.Fprintf(im.out, "line %d: %s\n", line, why)
}

// imported is the answer to a chunk.
type imported struct {
	Imported, Failed int
	Errors           []struct {
		Line    int
		Message string
	}
}

// send hands in a chunk. Sent again after a fault it changes nothing, so a run
// that broke off is simply run again.
func (im *importer) send(ctx context.Context, c *chunk) error {
	last, before := c.first+c.n-1, c.first-1
	if im.header != nil {
		before-- // the chunk's first line is the header
	}

	a, err := im.hand(ctx, c.body.Bytes())
	if err != nil {
		return fmt.Errorf("lines %d to %d: %w (go on with -from %d)", c.first, last, err, c.first)
	}

	im.imported += a.Imported
	im.failed += a.Failed
	for _, e := range a.Errors {
		im.refuse(before+e.Line, e.Message)
	}
	if more := a.Failed - len(a.Errors); more > 0 {
		fmt.Fprintf(im.out, "lines %d to %d: %d more were refused\n", c.first, last, more)
	}

	im.bar.Show(im.read, max(im.read, im.size), fmt.Sprintf("%d %s", im.imported, im.unit()))
	return nil
}

// unit is what the answers count: a row of CSV is a device.
func (im *importer) unit() string {
	if im.header != nil {
		return "rows"
	}
	return "customers"
}

// hand hands in a chunk, again when it is asked to come later.
func (im *importer) hand(ctx context.Context, chunk []byte) (a *imported, err error) {
	err = client.Retry(ctx, im.pause, im.bar.Say, func() (bool, error) {
		a, err = im.post(ctx, chunk)
		return false, err
	})
	return a, err
}

func (im *importer) post(ctx context.Context, chunk []byte) (*imported, error) {
	const path = "/v1/imports"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, im.BaseURL+path, bytes.NewReader(chunk))
	if err != nil {
		return nil, err
	}

	req.Header.Set("Content-Type", im.kind)
	resp, err := im.HTTP.Do(req)
	if err != nil {
		return nil, err
	}

	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, client.RefusalOf(resp, "POST "+path)
	}

	a := &imported{}
	if err := json.NewDecoder(resp.Body).Decode(a); err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	return a, nil
}
