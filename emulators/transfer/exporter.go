package transfer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"carillon.example/emulators/cli"
	"carillon.example/emulators/client"
	"carillon.example/emulators/progress"
)

// stallTimeout is the longest time without a byte of the response. The whole response
// has no time-out, because its length depends on the number of customers.
const stallTimeout = 2 * time.Minute

var errStalled = errors.New("no data came")

// ExportFile streams which customers push can reach, from a deployment or from the
// emulators of this machine, into a file.
func ExportFile(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("export")
	var from client.Remote
	from.RegisterFlags(f, "from")
	kind := f.String("format", "ndjson", "ndjson or csv")
	resume := f.Bool("continue", false, "continue after the last complete line of FILE.part, the file of an export that was interrupted")
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return errors.New("export: give one file after the flags, or - for standard output")
	}

	form, ok := formats[*kind]
	if !ok {
		return fmt.Errorf("export: -format: unknown format %q: use ndjson or csv", *kind)
	}

	c, err := from.Client()
	if err != nil {
		return fmt.Errorf("export: -from: %w", err)
	}

	c.HTTP.Timeout = 0 // stallTimeout replaces it
	x := &exporter{Client: c, format: form, pause: client.RetryPause, stall: stallTimeout}
	if name := f.Arg(0); name != "-" {
		x.bar = progress.NewBar(out, "export")
		return x.exportToFile(ctx, name, *resume, out)
	}
	if *resume {
		return errors.New("export: -continue needs a file: standard output cannot be continued")
	}

	x.bar, x.out = progress.NewBar(os.Stderr, "export"), bufio.NewWriter(out)
	if err := x.exportAll(ctx); err != nil {
		return err
	}

	fmt.Fprintf(os.Stderr, "%d customers exported\n", x.customers)
	return nil
}

// An exporter requests the rest of the customers until none is left.
type exporter struct {
	*client.Client
	format       format
	out          *bufio.Writer
	bar          *progress.Bar
	pause, stall time.Duration
	answered     bool // the server has answered once, so the URL is right
	heading      bool // the heading of the CSV is written
	first, last  string
	customers    int
	lines        int // number of lines that this run has written
}

// exportAll succeeds only after a response with no customer after the last one: a proxy
// may cut a response so that it looks complete.
func (x *exporter) exportAll(ctx context.Context) error {
	for {
		had := x.lines
		err := client.Retry(ctx, x.pause, x.bar.Say, func() (bool, error) {
			before := x.lines
			err := x.requestRest(ctx)
			return x.lines > before, err
		})
		if err != nil {
			return fmt.Errorf("after %d customers: %w", x.customers, err)
		}
		if x.lines == had {
			x.bar.Draw(1, fmt.Sprintf("100 %% %d customers", x.customers))
			x.bar.End()
			return nil
		}
	}
}

// requestRest requests the customers after the last one, and writes the complete lines
// of the response. The AfterFunc cancels the request when the response stalls.
func (x *exporter) requestRest(ctx context.Context) (err error) {
	ctx, hangUp := context.WithCancelCause(ctx)
	defer hangUp(nil)
	watch := time.AfterFunc(x.stall, func() { hangUp(errStalled) })
	defer watch.Stop()
	resp, err := x.sendRequest(ctx)
	if err != nil {
		return err
	}

	defer resp.Body.Close()
	x.answered = true
	err = x.keepLines(bufio.NewReaderSize(&watchedReader{resp.Body, watch, x.stall}, maxLineBytes))
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		err = &client.Temporary{Err: fmt.Errorf("%w for %v", errStalled, x.stall)}
	}
	if full := x.out.Flush(); full != nil {
		return full
	}

	return err
}

func (x *exporter) sendRequest(ctx context.Context) (*http.Response, error) {
	const path = "/v1/exports/availability"
	q := url.Values{"format": {x.format.name}}
	if x.last != "" {
		q.Set("after", x.last)
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.BaseURL+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}

	resp, err := x.HTTP.Do(req)
	if err != nil {
		return nil, x.classifyError(ctx, err)
	}

	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode != http.StatusOK:
		err = client.ResponseError(resp, "GET "+path)
	case kind != x.format.media:
		err = fmt.Errorf("GET %s: the content type of the response is %q, not %s: is this the API?", path, kind, x.format.media)
	default:
		return resp, nil
	}

	resp.Body.Close()
	return nil, err
}

// classifyError returns the error of a request without a response. Before the first
// response, an error of the connection or of the certificate means a wrong URL, and is
// not retried. All other errors are temporary.
func (x *exporter) classifyError(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return &client.Temporary{Err: fmt.Errorf("%w for %v", errStalled, x.stall)}
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the text of url.Error contains the customer's id
	}
	call, _ := errors.AsType[*net.OpError](err)
	_, other := errors.AsType[*tls.CertificateVerificationError](err)
	if !x.answered && (other || call != nil && call.Op == "dial") {
		return err
	}
	return &client.Temporary{Err: err}
}

// watchedReader runs the stall timer only during Read: the time that a slow disk needs
// does not count.
type watchedReader struct {
	io.Reader
	watch *time.Timer
	stall time.Duration
}

func (w *watchedReader) Read(p []byte) (int, error) {
	w.watch.Reset(w.stall)
	defer w.watch.Stop()
	return w.Reader.Read(p)
}
