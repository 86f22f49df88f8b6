package customers

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
)

const ndjson = "application/x-ndjson"

// importing answers the numbers of the lines that were refused.
func (w *world) importing(t *testing.T, imported int, body string) map[int]string {
	t.Helper()
	status, text := w.call(t, "POST", "/v1/imports", ndjson, body)
	var a struct {
		Imported, Failed int
		Errors           []lineError
	}
	if err := json.Unmarshal([]byte(text), &a); status != http.StatusOK || err != nil {
		t.Fatalf("answered %d %s", status, text)
	}
	if a.Imported != imported || a.Failed != len(a.Errors) {
		t.Errorf("%d lines imported, want %d; %d failed: %v", a.Imported, imported, a.Failed, a.Errors)
	}
	bad := map[int]string{}
	for _, e := range a.Errors {
		bad[e.Line] = e.Message
	}
	return bad
}

// TestImportKeepsGoodLinesAndNamesBadOnes: a byte order mark, CRLF, empty lines
// and every kind of bad line.
func TestImportKeepsGoodLinesAndNamesBadOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lines := []string{
		"\ufeff" + `{"id":"one","tokens":[{"token":"t-one","platform":"android","addedAt":"2026-10-01T00:00:00Z"}],"segments":["riga"]}` + "\r",
		``, `{"id":"two","optedOut":true}`, "\r",
		`{"id":`, `{"id":"bad` + "\xff" + `"}`, `{"id":"x","colour":"red"}`, `{"tokens":[]}`, `{"id":"/"}`, `{"id":3}`, `[]`, `null`,
		`{"id":"x","id":"y"}`, `{"id":"x","tokens":[{"token":"a","extra":1}]}`, `{"id":"x","tokens":[{}]}`,
		`{"id":"x","attributes":{"a":"` + strings.Repeat("a", maxLine) + `"}}`,
		`{"id":"x","tokens":[` + strings.TrimSuffix(strings.Repeat(`{"token":"many"},`, 21), ",") + `]}`,
		`{"id":"three","tokens":[{"fid":"f-three","platform":"ios","app":"shop"}]}`,
	}
	bad := w.importing(t, 3, strings.Join(lines, "\n"))
	for n := 5; n <= 17; n++ {
		if bad[n] == "" || len(bad[n]) > 500 {
			t.Errorf("line %d is not named as bad, or at length: %.100q", n, bad[n])
		}
		delete(bad, n)
	}
	if len(bad) > 0 {
		t.Errorf("good lines are named as bad: %v", bad)
	}
	if got := w.want(t, http.StatusOK, "GET", "/v1/customers/one", "", ""); got["pushAvailable"] != true || fmt.Sprint(got["segments"]) != "[riga]" {
		t.Errorf("%v", got)
	}
	if got := w.want(t, http.StatusOK, "GET", "/v1/customers/three", "", ""); got["pushAvailable"] != true {
		t.Errorf("%v", got)
	}
	w.want(t, http.StatusNotFound, "GET", "/v1/customers/x", "", "")
}

func TestImportLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(t, http.StatusUnprocessableEntity, "POST", "/v1/imports", ndjson, strings.Repeat("{}\n", maxLines+1))
	w.want(t, http.StatusRequestEntityTooLarge, "POST", "/v1/imports", ndjson, strings.Repeat(" ", 16<<20))
	w.want(t, http.StatusUnsupportedMediaType, "POST", "/v1/imports", "text/csv", "a,b")
	if bad := w.importing(t, 0, strings.Repeat("x\n", 3)); len(bad) != 3 {
		t.Errorf("%v", bad)
	}
}

// TestImportAgainChangesNothing: neither a document nor an event.
func TestImportAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, `{"id":"c%d","tokens":[{"token":"t%d","platform":"android","addedAt":"2026-10-01T00:00:00Z"}],"attributes":{"n":%d,"x":1.5,"deep":{"a":[1,"b"]}},"categories":{"promo":false}}`+"\n", i, i, i)
	}
	w.importing(t, 50, b.String())
	before := w.state(t)
	w.later(time.Hour)
	w.importing(t, 50, b.String())
	for name, at := range w.state(t) {
		if !at.Equal(before[name]) {
			t.Errorf("%s was written again", name)
		}
	}
	if n := w.owed(t); n != 0 {
		t.Errorf("%d events are owed", n)
	}
}

// state is when each document was last written.
func (w *world) state(t *testing.T) map[string]time.Time {
	t.Helper()
	at := map[string]time.Time{}
	for _, c := range []string{"customers", "tokens"} {
		snaps, err := w.db.Collection(c).Documents(t.Context()).GetAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range snaps {
			at[c+"/"+s.Ref.ID] = s.UpdateTime
		}
	}
	if len(at) != 100 {
		t.Errorf("%d documents, want 50 customers and 50 tokens", len(at))
	}
	return at
}

// TestExport streams everybody over several pages, as both formats, and goes on
// behind any line.
func TestExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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
	w.importing(t, n, b.String())
	_, text := w.call(t, "GET", "/v1/exports/availability", "", "")
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
		if want := err == nil && i%3 > 0; l.PushAvailable != want || (l.ValidTokens == 1) != want || seen[l.ID] {
			t.Errorf("%s", line)
		}
		seen[l.ID] = true
	}
	if len(seen) != n {
		t.Errorf("%d customers, want %d", len(seen), n)
	}
	var half struct{ ID string }
	if err := json.Unmarshal([]byte(all[n/2]), &half); err != nil {
		t.Fatal(err)
	}
	if _, rest := w.call(t, "GET", "/v1/exports/availability?after="+escape(half.ID), "", ""); rest != strings.Join(all[n/2+1:], "\n")+"\n" {
		t.Error("behind a line of the export comes something else than did before")
	}
	_, table := w.call(t, "GET", "/v1/exports/availability?format=csv", "", "")
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil || len(rows) != n+1 || strings.Join(rows[0], " ") != "id pushAvailable validTokens" {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if strings.Contains(table, "\n=") || strings.Contains(table, "\n\"=") || !strings.Contains(table, `"'=HYPERLINK(""http://x"")"`) {
		t.Error("a spreadsheet takes an id for a formula")
	}
	w.want(t, http.StatusUnprocessableEntity, "GET", "/v1/exports/availability?format=xml", "", "")
}

// FuzzLine: whatever a line holds, it is taken with an id that is one, or
// refused without being repeated.
func FuzzLine(f *testing.F) {
	for _, s := range []string{`{"id":"a","tokens":[{"token":"t","addedAt":"2026-10-01T00:00:00Z"}],"attributes":{"a":1}}`, `{"id":null}`, `[`, "\x00", `{"id":"a","tokens":{}}`} {
		f.Add([]byte(s))
	}
	s := &service{Deps: Deps{MaxTokens: push.MaxTokens, Log: slog.New(slog.DiscardHandler)}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := s.line(bytes.TrimSpace(raw))
		if err == nil && (push.CheckCustomerID(l.Customer) != "" || len(l.Tokens) > push.MaxTokens) {
			t.Fatalf("%q was taken as %+v", raw, l)
		}
	})
}
