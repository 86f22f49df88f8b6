package transfer

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/progress"
	"carillon.example/emulators/testcloud/check"
)

// desk takes imports: it asks some to come later, and refuses lines that say
// "bad".
type desk struct {
	kind   string // the only Content-Type it takes
	mu     sync.Mutex
	busy   []int // statuses to answer before anything is taken
	lines  []string
	called int
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.called++
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) > 16<<20 || bytes.Count(body, []byte("\n")) > 5000 || r.Header.Get("Content-Type") != d.kind {
		http.Error(w, "no import", http.StatusBadRequest)
		return
	}
	if len(d.busy) > 0 {
		status := d.busy[0]
		d.busy = d.busy[1:]
		http.Error(w, "later", status)
		return
	}
	var errors []string
	n := 0
	for i, line := range strings.Split(strings.TrimSuffix(string(body), "\n"), "\n") {
		d.lines = append(d.lines, line)
		switch {
		case line == "bad":
			errors = append(errors, fmt.Sprintf(`{"line":%d,"message":"is bad"}`, i+1))
		case line != "":
			n++
		}
	}
	fmt.Fprintf(w, `{"imported":%d,"failed":%d,"errors":[%s]}`, n, len(errors), strings.Join(errors, ","))
}

func importTo(t *testing.T, d *desk, from int, file string) (*Importer, string, error) {
	t.Helper()
	d.kind = cmp.Or(d.kind, ImportKinds["ndjson"])
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	var out bytes.Buffer
	im := &Importer{Client: client.New(srv.URL), Kind: d.kind, Out: &out, Bar: progress.NewBar(&out, "import"), size: int64(len(file)), from: from, pause: time.Millisecond}
	err := im.Stream(t.Context(), strings.NewReader(file))
	return im, out.String(), err
}

// TestImporterNumbersLinesByTheFile: the numbers are right in each chunk, and after a
// line that is too long.
func TestImporterNumbersLinesByTheFile(t *testing.T) {
	t.Parallel()
	d := &desk{busy: []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}}
	file := strings.Repeat("good\n", 2499) + "bad\r\n" + strings.Repeat("x", lineBytes+5) + "\n" + "good\nbad"
	im, out, err := importTo(t, d, 1, file)
	if err != nil {
		t.Errorf("the import failed: %v", err)
	}
	if im.Imported != 2500 {
		t.Errorf("%d imported, want 2500", im.Imported)
	}
	if im.Failed != 3 {
		t.Errorf("%d refused, want 3", im.Failed)
	}
	if want := int64(len(file)); im.read != want {
		t.Errorf("%d bytes read, want %d", im.read, want)
	}
	for _, want := range []string{"line 2500: is bad\n", "line 2501: is longer", "line 2503: is bad\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing from %q", want, out)
		}
	}
	if d.called != 4 {
		t.Errorf("%d requests, want two that were asked to come later, and two chunks", d.called)
	}
}

func TestImporterGoesOnWhereItBrokeOff(t *testing.T) {
	t.Parallel()
	d := &desk{}
	file := strings.Repeat("good\n", 2000) + "a\nbad\nc\n"
	im, out, err := importTo(t, d, 2001, file)
	if err != nil {
		t.Errorf("the import failed: %v", err)
	}
	if im.Imported != 2 {
		t.Errorf("%d imported, want 2", im.Imported)
	}
	if got := strings.Join(d.lines, " "); got != "a bad c" {
		t.Errorf("lines %q were sent, want %q", got, "a bad c")
	}
	if !strings.Contains(out, "line 2002: is bad") {
		t.Errorf("the output is %q, want line 2002 to be bad", out)
	}

	refusing := &desk{busy: []int{http.StatusForbidden}}
	_, _, err = importTo(t, refusing, 1, "a\nb\n")
	for _, want := range []string{"lines 1 to 2", "-from 1"} {
		check.Error(t, "a refused import", err, want)
	}
	if refusing.called != 1 {
		t.Errorf("%d requests for a refused import, want 1", refusing.called)
	}

	always := &desk{busy: statuses(http.StatusServiceUnavailable, client.MaxTries)}
	if _, _, err := importTo(t, always, 1, "a\n"); err == nil {
		t.Error("an import that always gets 503 succeeded")
	}
	if always.called != client.MaxTries {
		t.Errorf("%d requests, want %d", always.called, client.MaxTries)
	}
}

// TestImporterGivesEachChunkTheHeader: a chunk ends between rows. With a quote that is
// never closed, the chunks stay within the API's limits.
func TestImporterGivesEachChunkTheHeader(t *testing.T) {
	t.Parallel()
	d := &desk{kind: ImportKinds["csv"]}
	file := "id,x\n" + strings.Repeat("row\n", MaxChunkLines-1) + "\"two\nlines\"\n" + strings.Repeat("row\n", 10) + "\"never\n" + strings.Repeat("row\n", 4*MaxChunkLines) + "bad\n"
	im, out, err := importTo(t, d, 1, file)
	lines := strings.Count(file, "\n")
	if err != nil {
		t.Errorf("the import failed: %v", err)
	}
	if im.Failed != 1 {
		t.Errorf("%d refused, want 1", im.Failed)
	}
	if want := fmt.Sprintf("line %d: is bad\n", lines); !strings.Contains(out, want) {
		t.Errorf("the output is %q, want %q in it", out, want)
	}
	if got := len(d.lines) - d.called; got != lines-1 {
		t.Errorf("%d rows came in %d chunks, want %d", got, d.called, lines-1)
	}
	for i, line := range d.lines {
		if line == "\"two" && d.lines[i+1] != "lines\"" {
			t.Errorf("after the line %s comes %s, want lines\"", line, d.lines[i+1])
		}
	}

	rest := &desk{kind: ImportKinds["csv"]}
	if _, _, err := importTo(t, rest, 4, "id,x\nb\nc\nd\ne\n"); err != nil {
		t.Errorf("the import from line 4 failed: %v", err)
	}
	if got := strings.Join(rest.lines, " "); got != "id,x d e" {
		t.Errorf("from line 4, %q were sent, want %q", got, "id,x d e")
	}
}

// TestImportSaysThatThereIsNothingToImport checks that a file without a line to import is a fault,
// which names the file.
func TestImportSaysThatThereIsNothingToImport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, from, want string }{
		"empty.ndjson": {"", "1", "empty.ndjson has no line"},
		"empty.csv":    {"", "1", "empty.csv has no line"},
		"header.csv":   {"id,token\n", "1", "header.csv has a header and no other line"},
		"short.ndjson": {"a\nb\n", "4", "short.ndjson has 2 lines, and -from is 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{}
			srv := httptest.NewServer(d)
			t.Cleanup(srv.Close)
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			check.Error(t, name, ImportFile(t.Context(), []string{"-to", srv.URL, "-from", c.from, file}, &out), c.want)
			check.NotContains(t, out.String(), "imported", "output")
			check.Equal(t, d.called, 0, "requests")
		})
	}
}

// TestTheBarOfAnImportHasReadableSizes checks the unit of the bar, with and without a known size.
func TestTheBarOfAnImportHasReadableSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		read, all int64
		want      string
	}{
		{12_345_678, 98_765_432, "12.3/98.8 MB"}, {12_345_678, 0, "12.3 MB"}, {2_400, 8_600, "2/9 kB"}, {500_000, 2_000_000, "0.5/2.0 MB"},
	} {
		check.Equal(t, sizeText(c.read, c.all), c.want, "text for %d of %d bytes", c.read, c.all)
	}

	d := &desk{kind: ImportKinds["ndjson"]}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	file, out := strings.Repeat("good "+strings.Repeat("x", 994)+"\n", 1500), &bytes.Buffer{}
	im := NewImporter(client.New(srv.URL), "ndjson", progress.NewBar(out, "import"), io.Discard)
	im.size = int64(len(file))
	if err := im.Stream(t.Context(), strings.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	im.Bar.End()
	check.Contains(t, out.String(), "] 1.5/1.5 MB 1500 customers", "the bar")
}

func statuses(status, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = status
	}
	return out
}
