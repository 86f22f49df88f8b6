// Package transfer has the commands import and export.
package transfer

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
	"strconv"
	"strings"
	"time"

	"carillon.example/emulators/cli"
	"carillon.example/emulators/client"
	"carillon.example/emulators/progress"
)

// The size of one request to /v1/imports, below the API's limits of 5,000 lines and
// 16 MiB.
const (
	MaxChunkLines = 2000
	chunkBytes    = 8 << 20
	lineBytes     = 1 << 20 // the importer refuses a longer line
)

// ImportKinds has the media type of each format that can be imported.
var ImportKinds = map[string]string{"ndjson": "application/x-ndjson", "csv": "text/csv"}

// ImportFile streams an NDJSON or CSV file of customers to a deployment, or to the
// emulators of this machine.
func ImportFile(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("import")
	var to client.Remote
	to.RegisterFlags(f, "to")
	format := f.String("format", "", "ndjson or csv (default: csv where FILE ends in .csv, else ndjson)")
	from := f.Int("from", 1, "first line to import: to continue an import that was interrupted")
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return errors.New("import: give one file, or - for standard input")
	}
	if *format == "" {
		*format = formatOf(f.Arg(0))
	}

	kind, ok := ImportKinds[*format]
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
	im := &Importer{Client: c, Kind: kind, Out: out, Bar: progress.NewBar(out, "import"), size: size, from: *from, pause: client.RetryPause}
	if err := im.Stream(ctx, in); err != nil {
		return err
	}

	im.Bar.End()
	if err := im.checkLines(); err != nil {
		return fmt.Errorf("import: %s %w: nothing was imported", f.Arg(0), err)
	}
	fmt.Fprintf(out, "%d %s imported, %d lines refused\n", im.Imported, im.unitName(), im.Failed)
	if im.Failed > 0 {
		return fmt.Errorf("%d lines were refused", im.Failed)
	}
	return nil
}

// checkLines returns an error if the file had no line to import. Without it, a job whose export
// has failed before would report success.
func (im *Importer) checkLines() error {
	switch {
	case im.lines == 0:
		return errors.New("has no line")
	case im.lines == 1 && im.header != nil:
		return errors.New("has a header and no other line")
	case im.lines < im.from:
		return fmt.Errorf("has %d lines, and -from is %d", im.lines, im.from)
	}
	return nil
}

// formatOf returns the format of a file by its name.
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

// An Importer sends a file in chunks and adds up the responses.
type Importer struct {
	*client.Client
	Kind             string // the file's media type
	header           []byte // first line of a CSV file; each chunk begins with it
	Out              io.Writer
	Bar              *progress.Bar
	size, read       int64
	from             int // lines before this number are skipped
	pause            time.Duration
	lines            int // number of lines read so far
	Imported, Failed int
}

// NewImporter returns an importer of a format of ImportKinds. It prints refused lines to out.
func NewImporter(c *client.Client, format string, bar *progress.Bar, out io.Writer) *Importer {
	return &Importer{Client: c, Kind: ImportKinds[format], Out: out, Bar: bar, pause: client.RetryPause}
}

// Stream imports a file. It reads line by line, so that the memory that it needs does not
// depend on the size of the file.
func (im *Importer) Stream(ctx context.Context, in io.Reader) error {
	r := bufio.NewReaderSize(in, lineBytes)
	c := &chunk{}
	for {
		line, err := im.readLine(r)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("after line %d: %w", im.lines, err)
		}
		if c.n > 0 && (end || c.isFull(len(line))) {
			if err := im.sendChunk(ctx, c); err != nil {
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
			c.addLine(line, im)
		}
	}
}

// isHeader reports whether the last line read is the CSV header.
func (im *Importer) isHeader() bool { return im.Kind == ImportKinds["csv"] && im.lines == 1 }

// readLine reads a line. It counts a line that is too long as refused and returns it
// empty, so that the following lines keep their numbers.
func (im *Importer) readLine(r *bufio.Reader) ([]byte, error) {
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
		im.reportRefused(im.lines, fmt.Sprintf("is longer than %d bytes", lineBytes))
		im.Failed++
	}

	return nil, nil
}

func (im *Importer) reportRefused(line int, why string) {
	fmt.Fprintf(im.Out, "line %d: %s\n", line, why)
}

// importAnswer is the response to a chunk.
type importAnswer struct {
	Imported, Failed int
	Errors           []struct {
		Line    int
		Message string
	}
}

// sendChunk imports a chunk. An import of the same lines again changes nothing, so a run
// that broke off can be repeated.
func (im *Importer) sendChunk(ctx context.Context, c *chunk) error {
	last, before := c.first+c.n-1, c.first-1
	if im.header != nil {
		before-- // the chunk's first line is the header
	}

	a, err := im.postWithRetry(ctx, c.body.Bytes())
	if err != nil {
		return fmt.Errorf("lines %d to %d: %w (continue with -from %d)", c.first, last, err, c.first)
	}

	im.Imported += a.Imported
	im.Failed += a.Failed
	for _, e := range a.Errors {
		im.reportRefused(before+e.Line, e.Message)
	}
	if more := a.Failed - len(a.Errors); more > 0 {
		fmt.Fprintf(im.Out, "lines %d to %d: %d more were refused\n", c.first, last, more)
	}

	part := 1.0
	if im.size > 0 {
		part = min(float64(im.read)/float64(im.size), 1)
	}
	im.Bar.Draw(part, fmt.Sprintf("%s %d %s", sizeText(im.read, im.size), im.Imported, im.unitName()))
	return nil
}

// sizeText returns how many of all bytes were read, in MB, and below a megabyte in kB. all is 0 if
// nobody knows it.
func sizeText(read, all int64) string {
	unit, name, decimals := 1e6, "MB", 1
	if max(read, all) < 1e6 {
		unit, name, decimals = 1e3, "kB", 0
	}
	text := func(n int64) string { return strconv.FormatFloat(float64(n)/unit, 'f', decimals, 64) }
	if all == 0 {
		return text(read) + " " + name
	}
	return text(read) + "/" + text(all) + " " + name
}

// unitName names what the responses count. A row of a CSV file is one token, and a line
// of NDJSON is one customer.
func (im *Importer) unitName() string {
	if im.header != nil {
		return "rows"
	}
	return "customers"
}

// postWithRetry posts a chunk, and retries temporary errors.
func (im *Importer) postWithRetry(ctx context.Context, chunk []byte) (a *importAnswer, err error) {
	err = client.Retry(ctx, im.pause, im.Bar.Say, func() (bool, error) {
		a, err = im.postChunk(ctx, chunk)
		return false, err
	})
	return a, err
}

func (im *Importer) postChunk(ctx context.Context, chunk []byte) (*importAnswer, error) {
	const path = "/v1/imports"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, im.BaseURL+path, bytes.NewReader(chunk))
	if err != nil {
		return nil, err
	}

	req.Header.Set("Content-Type", im.Kind)
	resp, err := im.HTTP.Do(req)
	if err != nil {
		return nil, err
	}

	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, client.ResponseError(resp, "POST "+path)
	}

	a := &importAnswer{}
	if err := json.NewDecoder(resp.Body).Decode(a); err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	return a, nil
}
