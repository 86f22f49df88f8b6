package customers

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestACSVImportKeepsGoodRowsAndNamesBadOnes: a byte order mark, CRLF, quoted cells,
// empty rows, and every kind of bad row by its line and its column.
func TestACSVImportKeepsGoodRowsAndNamesBadOnes(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	rows := []string{
		"\ufeffid,token,fid,platform,app,device,notifications,addedAt,seenAt,segments,optedOut,timeZone,attributes.first_name,categories.promo\r",
		`one,t-one,,android,shop,,off,2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,riga|vip,FALSE,Europe/Riga,"Anna, ""A""` + "\r",
		`second line",false` + "\r",
		"\r",
		"two,,,,,,,,,,true,,,\r",
		",,,,,,,,,,,,,\r",
		`three,,f-three,ios,shop,,,,,,,,<&>,`,
		`x,t,,tv,,,loud,tomorrow,1999-01-01T00:00:00Z,,maybe,Riga,,perhaps`,
		`x,a,b,,,,,,,,,,,`,
		`x,,,android,,,,,,,,,,`,
		`,t,,,,,,,,,,,,`,
		`x,t`,
		"x,t,,,,,,,,,,,bad\xff,",
		`x,"t,,,,,,,,,,,,`,
		`x,t"t,,,,,,,,,,,,`,
		`x,,,,,,,,,riga||vip,,,,`,
		`four,t-four,,web,,,,,,,,,,`,
	}
	bad := w.importingAs(csvType, 4, strings.Join(rows, "\n"))
	want := map[int]string{
		8:  "optedOut: must be true or false; categories.promo: must be true or false; timeZone: must be a time zone of the IANA database, as Europe/Riga",
		9:  "line: needs exactly one of token and fid",
		10: "line: needs exactly one of token and fid",
		11: "id: is missing, or no text",
		12: "the line has 2 cells, and the header 14 columns",
		13: "attributes.first_name: is not UTF-8",
		14: "a quote is not closed",
		15: "a quote stands in a cell",
		16: "segments[1]: ",
	}
	for n, text := range want {
		if !strings.HasPrefix(bad[n], text) {
			t.Errorf("line %d is named %q, want %q…", n, bad[n], text)
		}
	}
	for _, column := range []string{"platform: ", "notifications: ", "addedAt: ", "seenAt: "} {
		if !strings.Contains(bad[8], column) {
			t.Errorf("line 8 does not name %s: %s", column, bad[8])
		}
	}
	if len(bad) != len(want) {
		t.Errorf("%d lines are named as bad, want %d: %v", len(bad), len(want), bad)
	}

	got := w.want(http.StatusOK, "GET", "/v1/customers/one", "")
	if diff := cmp.Diff([]any{"riga", "vip"}, got["segments"]); diff != "" {
		t.Errorf("segments (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"first_name": "Anna, \"A\"\nsecond line"}, got["attributes"]); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if got["timeZone"] != "Europe/Riga" {
		t.Errorf("timeZone is %v", got["timeZone"])
	}
	for customer, want := range map[string]bool{"one": true, "two": false, "three": true, "four": true} {
		if got := w.want(http.StatusOK, "GET", "/v1/customers/"+customer, ""); got["pushAvailable"] != want {
			t.Errorf("pushAvailable of %s is %v, want %v", customer, got["pushAvailable"], want)
		}
	}
	w.want(http.StatusNotFound, "GET", "/v1/customers/x", "")
}

// TestCSVAndNDJSONStoreTheSame: gzip or not.
func TestCSVAndNDJSONStoreTheSame(t *testing.T) {
	t.Parallel()
	table := "customer,token,platform,app,addedAt,segments,optedOut,attributes.n,categories.promo\n" +
		"a,t1,android,shop,2026-10-01T00:00:00Z,riga|vip,,007,true\n" +
		"b,,,,,,true,,\n"
	lines := `{"id":"a","tokens":[{"token":"t1","platform":"android","app":"shop","addedAt":"2026-10-01T00:00:00Z"}],"segments":["riga","vip"],"attributes":{"n":"007"},"categories":{"promo":true}}` + "\n" +
		`{"id":"b","optedOut":true}` + "\n"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, table) //nolint:errcheck // into memory
	z.Close()

	stored := map[string][]map[string]any{}
	for name, in := range map[string][]string{
		"ndjson": {lines, "Content-Type", ndjson},
		"csv":    {table, "Content-Type", "text/csv; charset=utf-8; header=present"},
		"gzip":   {zipped.String(), "Content-Type", csvType, "Content-Encoding", "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t)
			if a := w.Ask("POST", "/v1/imports", in[0], in[1:]...); a.Code != http.StatusOK {
				t.Fatalf("%s: %v", name, a)
			}
			for _, c := range []string{"a", "b"} {
				stored[name] = append(stored[name], w.want(http.StatusOK, "GET", "/v1/customers/"+c, ""))
			}
		})
	}
	for _, name := range []string{"csv", "gzip"} {
		if diff := cmp.Diff(stored["ndjson"], stored[name]); diff != "" {
			t.Errorf("NDJSON and %s differ (-ndjson +%s):\n%s", name, name, diff)
		}
	}
}

// TestTheHeaderOfACSVImportIsChecked: nothing is stored, and the columns are named.
func TestTheHeaderOfACSVImportIsChecked(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for body, want := range map[string]string{
		"\n\r\n":                     "has no header",
		"id,colour,Token\na,red,t\n": `the column \"colour\" is not known`,
		"id,Token\n":                 `the column \"Token\" is not known`,
		"id,attributes.\n":           `the column \"attributes.\" is not known`,
		"id,token,token\na,t,t\n":    `the column \"token\" is given twice`,
		"id,customer\na,a\n":         `the column \"customer\" is given twice`,
		"token\nt\n":                 `the column \"id\" is missing`,
		"id;token\na;t\n":            "separate columns by commas",
		"id,\"token\na,t\n":          "the header cannot be read",
		"id,\xff\na,t\n":             "is not UTF-8",
		"id," + strings.Repeat("attributes.a"+strings.Repeat("a", 90)+",", 3000): "the line is longer than",
		"id\n" + strings.Repeat("\n", maxLines):                                  "more than 5000 lines",
	} {
		t.Run(body, func(t *testing.T) {
			a := w.Ask("POST", "/v1/imports", body, "Content-Type", csvType)
			testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
			check.Contains(t, a.Body, want, "%s: body", a.Request)
		})
	}
	many := testcloud.Decode[struct{ Errors push.Faults }](w.Ask("POST", "/v1/imports", "id"+strings.Repeat(",x", 1000), "Content-Type", csvType), http.StatusUnprocessableEntity)
	if len(many.Errors) > maxLineFaults+2 {
		t.Errorf("%d faults are spelled out", len(many.Errors))
	}
	if n := w.Count("customers"); n != 0 {
		t.Errorf("%d customers are stored", n)
	}
}

// TestRowsOfOneCustomerAreTheirDevices: wherever they stand, at most as many as a
// customer has, and a row behind a bad one too.
func TestRowsOfOneCustomerAreTheirDevices(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var b strings.Builder
	b.WriteString("id,token,platform,segments,optedOut,attributes.a,attributes.b,seenAt\n")
	for i := range push.MaxTokens {
		fmt.Fprintf(&b, "many,m%d,web,,,,,\nfew%d,f%d,ios,,,,,\n", i, i, i)
	}
	b.WriteString("many,m-more,web,,,,,\n")
	b.WriteString("anna,a1,android,riga,false,1,2,\nanna,a2,tv,,,,,\nanna,a3,ios,vip,true,3,,\n")
	for i, customer := range []string{"bob", "carl", "bob"} {
		fmt.Fprintf(&b, "%s,moved,web,,,,,2026-10-0%dT00:00:00Z\n", customer, i+1)
	}
	bad := w.importingAs(csvType, 2*push.MaxTokens+2+3, b.String())
	want := map[int]string{2*push.MaxTokens + 2: "1 too many", 2*push.MaxTokens + 4: "platform: "}
	for n, text := range want {
		if !strings.Contains(bad[n], text) {
			t.Errorf("line %d is named %q, want %q", n, bad[n], text)
		}
	}
	if len(bad) != len(want) {
		t.Errorf("bad lines: %v", bad)
	}

	for customer, want := range map[string]int{"many": push.MaxTokens, "few3": 1, "anna": 2, "bob": 1, "carl": 0} {
		t.Run(customer, func(t *testing.T) {
			c, err := w.ReadCustomer(t.Context(), customer)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Tokens) != want {
				t.Errorf("%s has %d tokens, want %d", customer, len(c.Tokens), want)
			}
		})
	}
	got := w.want(http.StatusOK, "GET", anna, "")
	if diff := cmp.Diff(map[string]any{"a": "3", "b": "2"}, got["attributes"]); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"vip"}, got["segments"]); diff != "" {
		t.Errorf("segments (-want +got):\n%s", diff)
	}
	if got["optedOut"] != true {
		t.Errorf("optedOut is %v", got["optedOut"])
	}
}

// TestEveryRowOfARefusedCustomerIsNamed: what the store refuses is a customer's
// rows together.
func TestEveryRowOfARefusedCustomerIsNamed(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	long := strings.Repeat("a", push.MaxAttributeBytes/2)
	bad := w.importingAs(csvType, 1, "id,attributes.a,attributes.b\nanna,"+long+",\nbob,x,\nanna,,"+long+"\n")
	for _, n := range []int{2, 4} {
		if !strings.Contains(bad[n], "attributes: are ") {
			t.Errorf("line %d is named %q", n, bad[n])
		}
	}
	w.want(http.StatusNotFound, "GET", anna, "")
}

// TestAttributesCountAsTheyWereSent: not by how JSON escapes them.
func TestAttributesCountAsTheyWereSent(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	if bad := w.importingAs(csvType, 1, "id,attributes.a\nanna,"+strings.Repeat("<", push.MaxAttributeBytes-100)+"\n"); len(bad) > 0 {
		t.Errorf("the failed rows are %v, want none", bad)
	}
}

// TestACSVImportAgainChangesNothing: no document is written again.
func TestACSVImportAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var b strings.Builder
	b.WriteString("id,token,platform,addedAt,attributes.n,categories.promo\n")
	for i := range 50 {
		fmt.Fprintf(&b, "c%d,t%d,android,2026-10-01T00:00:00Z,%d,false\n", i, i, i)
	}
	w.importingAs(csvType, 50, b.String())
	before := w.state()
	w.clock.Add(time.Hour)
	w.importingAs(csvType, 50, b.String())
	for name, at := range w.state() {
		if !at.Equal(before[name]) {
			t.Errorf("%s was written again", name)
		}
	}
}

// FuzzTable: whatever a body holds, every line of it is a row, blank, the rest of a
// row, or refused by its number, and what is taken is an import line.
func FuzzTable(f *testing.F) {
	for _, s := range []string{
		"id,token\na,t\n", "\"id\",\"token\"\r\na,\"t\nt\"\r\n", "id,token\na,\"t\nb,\"u\nc,v", "id\n\n\n\"", "customer,attributes.a,categories.b,segments\na,1,true,x|y\na,2,,",
	} {
		f.Add([]byte(s))
	}
	s := &service{Deps: Deps{MaxTokens: push.MaxTokens, Log: slog.New(slog.DiscardHandler)}}
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := s.parseTable(body)
		if err != nil {
			if _, ok := errors.AsType[push.Faults](err); !ok {
				t.Fatalf("%q is refused by %T %v", body, err, err)
			}
			return
		}
		rows := len(all.faulty)
		for i, l := range all.good {
			rows += len(all.origins[i])
			if push.CheckCustomerID(l.Customer) != "" {
				t.Fatalf("customer %q was accepted, want it refused: %s", l.Customer, push.CheckCustomerID(l.Customer))
			}
			if len(l.Tokens) > push.MaxTokens {
				t.Fatalf("%q: number of tokens is %v, want at most %v", body, len(l.Tokens), push.MaxTokens)
			}
		}
		if rows != all.read {
			t.Fatalf("of %q %d rows were read, and %d are accounted for", body, all.read, rows)
		}
	})
}

// TestALongRowTakesLittleMemory: cells are many times as large as the commas between
// them, and an instance has 512 MiB.
func TestALongRowTakesLittleMemory(t *testing.T) {
	s := &service{Deps: Deps{MaxTokens: push.MaxTokens, Log: slog.New(slog.DiscardHandler)}}
	body := []byte("id,token\n" + strings.Repeat(",", 8<<20) + "\nb,t\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	all, err := s.parseTable(body)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, len(all.faulty), 1, "number of faulty rows")
	check.Equal(t, len(all.good), 1, "number of good rows")
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 100 {
		t.Errorf("a row of 8 MiB took %d MiB", got)
	}
}
