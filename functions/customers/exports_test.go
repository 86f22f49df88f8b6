package customers

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// TestExport streams everybody over several pages, as both formats, and goes on
// behind any line.
func TestExport(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	const n = 2*exportPage + 7
	var b strings.Builder
	for i := range n - 2 {
		token := ""
		if i%3 > 0 {
			token = fmt.Sprintf(`{"token":"t%d"}`, i)
		}
		fmt.Fprintf(&b, `{"id":"c%d","tokens":[%s]}`+"\n", i, token)
	}
	b.WriteString(`{"id":"=HYPERLINK(\"http://x\")"}` + "\n" + `{"id":"a,\"b"}` + "\n")
	w.importing(n, b.String())
	text := w.Ask("GET", "/v1/exports/availability", "").Body
	all := strings.Split(strings.TrimSpace(text), "\n")
	seen := map[string]bool{}
	for _, line := range all {
		var l struct {
			ID            string
			PushAvailable bool
			ValidTokens   int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		var i int
		_, err := fmt.Sscanf(l.ID, "c%d", &i)
		want := err == nil && i%3 > 0
		check.Equal(t, l.PushAvailable, want, "%s: PushAvailable", line)
		check.Equal(t, l.ValidTokens == 1, want, "%s: that it has one valid token", line)
		check.Equal(t, seen[l.ID], false, "%s: that it came before", line)
		seen[l.ID] = true
	}
	if len(seen) != n {
		t.Errorf("%d customers, want %d", len(seen), n)
	}
	var half struct{ ID string }
	if err := json.Unmarshal([]byte(all[n/2]), &half); err != nil {
		t.Fatal(err)
	}
	if rest := w.Ask("GET", "/v1/exports/availability?after="+escape(half.ID), "").Body; rest != strings.Join(all[n/2+1:], "\n")+"\n" {
		t.Error("behind a line of the export comes something else than did before")
	}
	a := w.Ask("GET", "/v1/exports/availability?format=csv", "")
	table := a.Body
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", a.Request, err)
	}
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/csv") {
		t.Fatalf("%s: header Content-Type is %q, want it to begin with %q", a.Request, a.Header.Get("Content-Type"), "text/csv")
	}
	if len(rows) != n+1 {
		t.Fatalf("%s: number of rows is %v, want %v: %+v", a.Request, len(rows), n+1, rows)
	}
	if strings.Join(rows[0], " ") != "id pushAvailable validTokens platform app state since" {
		t.Fatalf("%s: heading is %q, want id pushAvailable validTokens platform app state since", a.Request, strings.Join(rows[0], " "))
	}
	check.NotContains(t, table, "\n=", "the table, in which no id may be a formula")
	check.NotContains(t, table, "\n\"=", "the table, in which no id may be a formula")
	check.Contains(t, table, `"'=HYPERLINK(""http://x"")"`, "the table, in which no id may be a formula")
	w.want(http.StatusUnprocessableEntity, "GET", "/v1/exports/availability?format=xml", "")
	a = w.Ask("HEAD", "/v1/exports/availability?format=csv", "")
	testcloud.CheckCode(t, a, http.StatusOK)
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("%s: header Content-Type is %q, want it to begin with %q", a.Request, a.Header.Get("Content-Type"), "text/csv")
	}
}

// TestAnExportThatBreaksOffIsSeenToBeBroken: nobody takes a part for the whole.
func TestAnExportThatBreaksOffIsSeenToBeBroken(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.serve(Deps{Store: failingStore(), Queue: w.queue})
	for _, format := range []string{"ndjson", "csv"} {
		resp, err := http.Get(w.URL + "/v1/exports/availability?format=" + format)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err == nil {
			t.Errorf("%s: the error is nil, want one that says why", format)
		}
		check.Contains(t, string(b), "c0", "%s: what came before the error", format)
	}
}

// TestAnExportMayBeZipped: it says so, and holds the same.
func TestAnExportMayBeZipped(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.want(http.StatusCreated, "POST", anna+"/tokens", `{"token":"t","platform":"web"}`)
	plain := w.Ask("GET", "/v1/exports/availability", "", "Accept-Encoding", "identity")
	zipped := w.Ask("GET", "/v1/exports/availability", "", "Accept-Encoding", "gzip")
	if got := zipped.Header.Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("it came as %q", got)
	}
	z, err := gzip.NewReader(strings.NewReader(zipped.Body))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != plain.Body {
		t.Errorf("zipped %q, plain %q", b, plain.Body)
	}
}
