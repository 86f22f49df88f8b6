package transfer

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/progress"
	"carillon.example/emulators/testcloud/check"
)

// shelf gives exports out of n customers, whose ids are hard to read back, and
// breaks off as it is told.
type shelf struct {
	ids    []string
	mu     sync.Mutex
	faults []fault // one a request, then none
	asked  []string
	at     []time.Time
}

// fault makes an answer of its own, or cuts the good one; nil does nothing.
type fault func(w http.ResponseWriter, r *http.Request, whole string)

func newShelf(n int, faults ...fault) *shelf {
	s := &shelf{faults: faults}
	for i := range n {
		s.ids = append(s.ids, []string{"c%d", `a,"%d"`, "=%d", "'%d", "é<&>%d"}[i%5])
		s.ids[i] = fmt.Sprintf(s.ids[i], i)
	}
	return s
}

// text returns the lines after a customer.
func (s *shelf) text(format, after string) string {
	var b strings.Builder
	if format == "csv" && after == "" {
		b.WriteString("id,pushAvailable,validTokens\n")
	}
	for _, id := range s.ids[slices.Index(s.ids, after)+1:] {
		if format == "csv" {
			if strings.ContainsRune("='", rune(id[0])) {
				id = "'" + id
			}
			fmt.Fprintf(&b, "\"%s\",true,1\n", strings.ReplaceAll(id, `"`, `""`))
		} else {
			fmt.Fprintf(&b, `{"id":%q,"pushAvailable":true,"validTokens":1}`+"\n", id)
		}
	}
	return b.String()
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked, s.at = append(s.asked, r.FormValue("after")), append(s.at, time.Now())
	var f fault
	if len(s.faults) > 0 {
		f, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	format := r.FormValue("format")
	whole := s.text(format, r.FormValue("after"))
	w.Header().Set("Content-Type", map[string]string{"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8; header=present"}[format])
	if f != nil {
		f(w, r, whole)
		return
	}
	_, _ = io.WriteString(w, whole)
}

// tear gives n bytes and breaks the connection.
func tear(n int) fault {
	return func(w http.ResponseWriter, _ *http.Request, whole string) {
		_, _ = io.WriteString(w, whole[:min(n, len(whole))])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// short gives n bytes and ends as if they were all.
func short(n int) fault {
	return func(w http.ResponseWriter, _ *http.Request, whole string) {
		_, _ = io.WriteString(w, whole[:min(n, len(whole))])
	}
}

func answer(status int, header, value string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set(header, value)
		w.WriteHeader(status)
	}
}

// exporting is an exporter that does not wait.
func exporting(t *testing.T, h http.Handler, format string) (*exporter, *bytes.Buffer) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	var said bytes.Buffer
	return &exporter{Client: client.New(srv.URL), format: formats[format], bar: progress.NewBar(&said, "export"), pause: time.Millisecond, stall: stallTimeout}, &said
}

func exported(t *testing.T, h http.Handler, format string) (text string, said string, err error) {
	t.Helper()
	x, talk := exporting(t, h, format)
	var out bytes.Buffer
	x.out = bufio.NewWriter(&out)
	err = x.exportAll(t.Context())
	return out.String(), talk.String(), err
}

// TestExportGoesOnBehindWhatBreaksOff: no line is lost or doubled, wherever a response is
// cut, and whether the cut is visible or not.
func TestExportGoesOnBehindWhatBreaksOff(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"ndjson", "csv"} {
		s := newShelf(3000, tear(0), tear(12), short(29), tear(29), answer(http.StatusTooManyRequests, "X", "y"), tear(60_000), short(20_001), tear(0), short(70))
		got, said, err := exported(t, s, format)
		if err != nil {
			t.Errorf("%s: the export failed: %v", format, err)
		}
		if want := s.text(format, ""); got != want {
			t.Errorf("%s: the export has %d bytes, want %d, or differs in its text", format, len(got), len(want))
		}
		for _, want := range []string{"retrying in 1ms", "100 % 3000 customers"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: the progress is %q, want %q in it", format, said, want)
			}
		}
		if last := s.asked[len(s.asked)-1]; last != s.ids[2999] {
			t.Errorf("the last request is for the customers after %q, want those after the last customer", last)
		}
	}
}

func TestExportComesWhenAskedTo(t *testing.T) {
	t.Parallel()
	s := newShelf(7, answer(http.StatusServiceUnavailable, "Retry-After", "1"))
	got, said, err := exported(t, s, "ndjson")
	if err != nil {
		t.Errorf("the export failed: %v", err)
	}
	if want := s.text("ndjson", ""); got != want {
		t.Errorf("the export is %q, want %q", got, want)
	}
	if want := "503 Service Unavailable; retrying in 1s"; !strings.Contains(said, want) {
		t.Errorf("the progress is %q, want %q in it", said, want)
	}
	if came := s.at[1].Sub(s.at[0]); came < time.Second {
		t.Errorf("it came again after %v", came)
	}
}

// TestExportGivesUp: it ends after MaxTries requests without progress, and goes on as long
// as there is progress.
func TestExportGivesUp(t *testing.T) {
	t.Parallel()
	always := newShelf(3, slices.Repeat([]fault{tear(10)}, client.MaxTries)...)
	got, _, err := exported(t, always, "ndjson")
	if err == nil {
		t.Error("an export without progress succeeded")
	}
	if got != "" {
		t.Errorf("an export without progress is %q, want it empty", got)
	}
	if len(always.asked) != client.MaxTries {
		t.Errorf("%d requests without progress, want %d", len(always.asked), client.MaxTries)
	}

	slow := newShelf(20, slices.Repeat([]fault{tear(60)}, 20)...)
	got, _, err = exported(t, slow, "ndjson")
	if err != nil {
		t.Errorf("an export with slow progress failed: %v", err)
	}
	if want := slow.text("ndjson", ""); got != want {
		t.Errorf("an export with slow progress is %q, want %q", got, want)
	}
	if len(slow.asked) <= client.MaxTries {
		t.Errorf("%d requests with slow progress, want more than %d", len(slow.asked), client.MaxTries)
	}

	hanging := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	x, _ := exporting(t, hanging, "ndjson")
	x.out, x.stall = bufio.NewWriter(io.Discard), 10*time.Millisecond
	check.Error(t, "exportAll of a response without data", x.exportAll(t.Context()), "no data came")
}

// TestExportTakesNothingElse: a response that is not an export is an error without a
// retry.
func TestExportTakesNothingElse(t *testing.T) {
	t.Parallel()
	page := func(kind, text string) fault {
		return func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, text)
		}
	}
	all := newShelf(3).text("ndjson", "")
	for want, faults := range map[string][]fault{
		"403 Forbidden":            {answer(http.StatusForbidden, "X", "y")},
		"redirects to /sign-in":    {answer(http.StatusFound, "Location", "/sign-in")},
		`"text/html"`:              {page("text/html", "<p>Welcome")},
		"not a customer in NDJSON": {page("application/x-ndjson", "<p>Welcome\n")},
		"longer than":              {page("application/x-ndjson", strings.Repeat("x", maxLineBytes+1))},
		"first customer again":     {nil, page("application/x-ndjson", all)},
	} {
		t.Run(want, func(t *testing.T) {
			s := newShelf(3, faults...)
			x, _ := exporting(t, s, "ndjson")
			c, err := (&client.Remote{URL: x.BaseURL}).Client()
			if err != nil {
				t.Fatal(err)
			}
			x.Client, x.out = c, bufio.NewWriter(io.Discard)
			check.Error(t, "exportAll", x.exportAll(t.Context()), want)
			if len(s.asked) != len(faults) {
				t.Errorf("%q: %d requests, want %d", want, len(s.asked), len(faults))
			}
		})
	}
}

func TestExportSendsItsTokenToTheAPIAlone(t *testing.T) {
	t.Parallel()
	s := newShelf(2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	var out bytes.Buffer
	if err := ExportFile(t.Context(), []string{"-from", srv.URL + "/", "-token", "secret", "-format", "csv", "-"}, &out); err != nil {
		t.Errorf("the export failed: %v", err)
	}
	if got, want := out.String(), s.text("csv", ""); got != want {
		t.Errorf("the export is %q, want %q", got, want)
	}

	stranger := newShelf(1)
	other := httptest.NewServer(stranger)
	t.Cleanup(other.Close)
	moved := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	t.Cleanup(moved.Close)
	if err := ExportFile(t.Context(), []string{"-from", moved.URL, "-token", "secret", "-"}, io.Discard); err == nil {
		t.Error("the export followed a redirect to another server")
	}
	if len(stranger.asked) != 0 {
		t.Errorf("the other server got %d requests, want 0", len(stranger.asked))
	}
}

// TestExportIntoAFile: the file with the final name is always complete.
func TestExportIntoAFile(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"ndjson", "csv"} {
		s := newShelf(50)
		srv := httptest.NewServer(s)
		t.Cleanup(srv.Close)
		name := filepath.Join(t.TempDir(), "who")
		export := func(flags ...string) error {
			var out bytes.Buffer
			return ExportFile(t.Context(), append(append([]string{"-from", srv.URL, "-format", format}, flags...), name), &out)
		}
		is := func(file, want string) {
			t.Helper()
			b, err := os.ReadFile(file)
			if missing := os.IsNotExist(err); missing != (want == "") {
				t.Errorf("%s is missing: %t, want %t", filepath.Base(file), missing, want == "")
			}
			if string(b) != want {
				t.Errorf("%s is %q, want %q", filepath.Base(file), b, want)
			}
		}
		fails := func(err error, want string) {
			t.Helper()
			check.Error(t, "exporting "+format, err, want)
		}
		fails(export("-continue"), name+".part does not exist")
		s.faults = []fault{answer(http.StatusForbidden, "X", "y")}
		fails(export(), "403")
		is(name+".part", "") // an empty part is removed

		all := s.text(format, "")
		if err := os.WriteFile(name, []byte("yesterday's"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.faults = []fault{tear(700), answer(http.StatusForbidden, "X", "y")}
		fails(export(), "continue with -continue")
		is(name, "yesterday's")
		whole := all[:strings.LastIndex(all[:700], "\n")+1]
		is(name+".part", whole)
		fails(export(), "or remove the file")

		// a kill in the middle of a line
		for _, n := range []int{700, 29, 5, 0} {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				if err := os.WriteFile(name+".part", []byte(all[:n]), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := export("-continue"); err != nil {
					t.Error(err)
				}
				is(name, all)
				is(name+".part", "")
			})
		}

		wrong := map[string]string{"ndjson": "csv", "csv": "ndjson"}[format]
		if err := os.WriteFile(name+".part", []byte(s.text(wrong, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		fails(export("-continue"), "a line is no")
		is(name+".part", s.text(wrong, ""))
	}
}
