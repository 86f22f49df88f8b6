package customers

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// importing answers the numbers of the lines that were refused.
func (w *harness) importing(imported int, body string) map[int]string {
	w.t.Helper()
	return w.importingAs(ndjson, imported, body)
}

func (w *harness) importingAs(kind string, imported int, body string) map[int]string {
	w.t.Helper()
	a := testcloud.Decode[struct {
		Imported, Failed int
		Errors           []lineError
	}](w.Ask("POST", "/v1/imports", body, "Content-Type", kind), http.StatusOK)
	check.Equal(w.t, a.Imported, imported, "number of imported lines")
	check.Equal(w.t, a.Failed, len(a.Errors), "number of failed lines")
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
	w := newHarness(t)
	lines := []string{
		"\ufeff" + `{"id":"one","tokens":[{"token":"t-one","platform":"android","addedAt":"2026-10-01T00:00:00Z"}],"segments":["riga"]}` + "\r",
		``, `{"id":"two","optedOut":true}`, "\r",
		`{"id":`, `{"id":"bad` + "\xff" + `"}`, `{"id":"x","colour":"red"}`, `{"tokens":[]}`, `{"id":"/"}`, `{"id":3}`, `[]`, `null`,
		`{"id":"x","id":"y"}`, `{"id":"x","tokens":[{"token":"a","extra":1,"Platform":"web","app":7}]}`, `{"id":"x","tokens":[{}]}`,
		`{"id":"x","attributes":{"a":"` + strings.Repeat("a", maxLineBytes) + `"}}`,
		`{"id":"x","tokens":[` + strings.TrimSuffix(strings.Repeat(`{"token":"many"},`, 21), ",") + `]}`,
		`{"id":"x","tokens":[{"token":"a","addedAt":"tomorrow"}]}`, `{"id":"x","tokens":[{"token":7}]}`,
		`{"id":"three","tokens":[{"fid":"f-three","platform":"ios","app":"shop"}]}`,
	}
	bad := w.importing(3, strings.Join(lines, "\n"))
	for _, at := range []string{"line.tokens[0].extra:", "line.tokens[0].Platform:", "line.tokens[0].app:"} {
		if !strings.Contains(bad[14], at) {
			t.Errorf("line 14 does not name %s: %s", at, bad[14])
		}
	}
	for n, one := range map[int]string{18: "line.tokens[0].addedAt: has a value that cannot be read", 19: "line.tokens[0].token: has a value that cannot be read"} {
		if bad[n] != one {
			t.Errorf("line %d is named %q, want %q alone", n, bad[n], one)
		}
	}
	for n := 5; n <= 19; n++ {
		if bad[n] == "" {
			t.Errorf("line %d: it is not named as bad", n)
		}
		if len(bad[n]) > 500 {
			t.Errorf("line %d: length of its fault is %v, want at most %v", n, len(bad[n]), 500)
		}
		delete(bad, n)
	}
	if len(bad) > 0 {
		t.Errorf("good lines are named as bad: %v", bad)
	}
	got := w.want(http.StatusOK, "GET", "/v1/customers/one", "")
	check.Equal(t, got["pushAvailable"], true, "pushAvailable")
	check.Equal(t, fmt.Sprint(got["segments"]), "[riga]", "segments")
	three := w.want(http.StatusOK, "GET", "/v1/customers/three", "")
	check.Equal(t, three["pushAvailable"], true, "pushAvailable of three")
	w.want(http.StatusNotFound, "GET", "/v1/customers/x", "")
}

func TestImportLimits(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.want(http.StatusUnprocessableEntity, "POST", "/v1/imports", strings.Repeat("{}\n", maxLines+1), "Content-Type", ndjson)
	w.want(http.StatusRequestEntityTooLarge, "POST", "/v1/imports", strings.Repeat(" ", 16<<20), "Content-Type", ndjson)
	w.want(http.StatusUnsupportedMediaType, "POST", "/v1/imports", "a,b", "Content-Type", "text/plain")
	if bad := w.importing(0, strings.Repeat("x\n", 3)); len(bad) != 3 {
		t.Errorf("the failed lines are %v, want 3", bad)
	}
}

// TestImportAgainChangesNothing: neither a document nor an event.
func TestImportAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, `{"id":"c%d","tokens":[{"token":"t%d","platform":"android","addedAt":"2026-10-01T00:00:00Z"}],"attributes":{"n":%d,"x":1.5,"deep":{"a":[1,"b"]}},"categories":{"promo":false}}`+"\n", i, i, i)
	}
	w.importing(50, b.String())
	before := w.state()
	w.clock.Add(time.Hour)
	w.importing(50, b.String())
	for name, at := range w.state() {
		if !at.Equal(before[name]) {
			t.Errorf("%s was written again", name)
		}
	}
	if n := w.Count("outbox"); n != 0 {
		t.Errorf("%d events are owed", n)
	}
}

// state is when each document was last written.
func (w *harness) state() map[string]time.Time {
	w.t.Helper()
	at := map[string]time.Time{}
	for _, c := range []string{"customers", "tokens"} {
		snaps, err := w.DB().Collection(c).Documents(w.t.Context()).GetAll()
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range snaps {
			at[c+"/"+s.Ref.ID] = s.UpdateTime
		}
	}
	if len(at) != 100 {
		w.t.Errorf("%d documents, want 50 customers and 50 tokens", len(at))
	}
	return at
}

// FuzzLine: whatever a line holds, it is taken with an id that is one, or
// refused without being repeated.
func FuzzLine(f *testing.F) {
	for _, s := range []string{`{"id":"a","tokens":[{"token":"t","addedAt":"2026-10-01T00:00:00Z"}],"attributes":{"a":1}}`, `{"id":null}`, `[`, "\x00", `{"id":"a","tokens":{}}`} {
		f.Add([]byte(s))
	}
	s := &service{Deps: Deps{MaxTokens: push.MaxTokens, Log: slog.New(slog.DiscardHandler)}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := s.parseLine(bytes.TrimSpace(raw))
		if err != nil {
			return
		}
		if fault := push.CheckCustomerID(l.Customer); fault != "" {
			t.Fatalf("%q was accepted with the customer %q, want it refused: %s", raw, l.Customer, fault)
		}
		if len(l.Tokens) > push.MaxTokens {
			t.Fatalf("%q was accepted with %d tokens, want %d at most", raw, len(l.Tokens), push.MaxTokens)
		}
	})
}
