package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
)

// What one request to /v1/imports carries: the API takes 5,000 lines or 16 MiB.
const (
	chunkLines = 2000
	chunkBytes = 8 << 20
	lineBytes  = 1 << 20
)

// importFile streams an NDJSON file of customers to a deployment, or to this
// machine's emulators.
func importFile(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("import", flag.ContinueOnError)
	to := f.String("to", "http://127.0.0.1:5001", "the API's URL")
	token := f.String("token", os.Getenv("CARILLON_TOKEN"), "an ID token for a deployment (default: the variable CARILLON_TOKEN)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return errors.New("import: name one file, or - for standard input")
	}
	in, size, err := openInput(f.Arg(0))
	if err != nil {
		return err
	}
	defer in.Close()
	c := newClient(*to)
	if *token != "" {
		c.http.Transport = bearer{*token, http.DefaultTransport}
	}
	im := &importer{client: c, out: out, bar: newBar(out, "import"), size: size}
	if err := im.stream(ctx, in); err != nil {
		return err
	}
	im.bar.end()
	fmt.Fprintf(out, "%d customers imported, %d lines refused\n", im.imported, im.failed)
	if im.failed > 0 {
		return fmt.Errorf("%d lines were refused", im.failed)
	}
	return nil
}

// bearer adds an ID token: in the cloud only IAM invokers get in.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
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
	*client
	out              io.Writer
	bar              *bar
	size, read       int64
	lines            int
	imported, failed int
}

func (im *importer) stream(ctx context.Context, in io.Reader) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 64<<10), lineBytes)
	var chunk bytes.Buffer
	first, n := 1, 0
	for sc.Scan() {
		im.lines++
		im.read += int64(len(sc.Bytes()) + 1)
		chunk.Write(sc.Bytes())
		chunk.WriteByte('\n')
		if n++; n == chunkLines || chunk.Len() > chunkBytes {
			if err := im.send(ctx, &chunk, first); err != nil {
				return err
			}
			first, n = im.lines+1, 0
			chunk.Reset()
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("line %d: %w", im.lines+1, err)
	}
	if n == 0 {
		return nil
	}
	return im.send(ctx, &chunk, first)
}

// send hands in the lines from number first on. Sent again after a fault they
// change nothing, so a run that broke off is simply run again.
func (im *importer) send(ctx context.Context, chunk *bytes.Buffer, first int) error {
	var a struct {
		Imported, Failed int
		Errors           []struct {
			Line    int
			Message string
		}
	}
	if err := im.call(ctx, http.MethodPost, "/v1/imports", bytes.NewReader(chunk.Bytes()), &a); err != nil {
		return fmt.Errorf("lines %d to %d: %w", first, im.lines, err)
	}
	im.imported += a.Imported
	im.failed += a.Failed
	for _, e := range a.Errors {
		fmt.Fprintf(im.out, "line %d: %s\n", first+e.Line-1, e.Message)
	}
	im.bar.show(im.read, max(im.read, im.size), fmt.Sprintf("%d customers", im.imported))
	return nil
}
