package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExportedIsWhatWasImported runs import and export against the functions, with several
// pages, and with ids that JSON, CSV and spreadsheets escape in different ways.
func TestExportedIsWhatWasImported(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	in := filepath.Join(t.TempDir(), "in.ndjson")
	want := map[string]int{}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for i := range 2300 {
		id := []string{"%d-exported", "=%d-exported", `%d "a", b-exported`, "'%d-exported", "é<&>%d/?+-exported"}[i%5]
		id = fmt.Sprintf(id, i)
		tokens := []map[string]string{}
		for n := range i % 3 {
			tokens = append(tokens, map[string]string{"token": fmt.Sprintf("exported-%d-%d", i, n), "platform": "ios"})
		}
		want[id] = len(tokens)
		_ = enc.Encode(map[string]any{"id": id, "tokens": tokens})
	}
	if err := os.WriteFile(in, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t.Context(), "import", "-to", r.addr["API"], in).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for format, read := range map[string]func(*testing.T, []byte) map[string]int{"ndjson": readObjects, "csv": readTable} {
		file := filepath.Join(t.TempDir(), "out")
		output, err := command(t.Context(), "export", "-from", r.addr["API"], "-format", format, file).CombinedOutput()
		if err != nil {
			t.Fatalf("exporting %s: %v: %s", format, err, output)
		}
		if want := "customers exported to " + file; !strings.Contains(string(output), want) {
			t.Errorf("exporting %s prints %q, want %q in it", format, output, want)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read(t, text)); diff != "" {
			t.Errorf("%s: the number of tokens of each customer in the file (-want +got):\n%s", format, diff)
		}
		streamed, err := command(t.Context(), "export", "-from", r.addr["API"], "-format", format, "-").Output()
		if err != nil {
			t.Fatalf("exporting %s to standard output: %v", format, err)
		}
		if diff := cmp.Diff(want, read(t, streamed)); diff != "" {
			t.Errorf("%s: the number of tokens of each customer on standard output (-want +got):\n%s", format, diff)
		}
	}
}

// addExported adds a customer of this test to got. It skips other customers, because tests
// may share a database.
func addExported(t *testing.T, got map[string]int, id string, tokens int, available bool) {
	t.Helper()
	if !strings.HasSuffix(id, "-exported") {
		return
	}
	if _, twice := got[id]; twice {
		t.Errorf("customer %q is exported twice", id)
	}
	if want := tokens > 0; available != want {
		t.Errorf("customer %q with %d tokens: pushAvailable is %t, want %t", id, tokens, available, want)
	}
	got[id] = tokens
}

func readObjects(t *testing.T, text []byte) map[string]int {
	got := map[string]int{}
	for line := range bytes.Lines(text) {
		var l struct {
			ID            string
			PushAvailable bool
			ValidTokens   int
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		addExported(t, got, l.ID, l.ValidTokens, l.PushAvailable)
	}
	return got
}

func readTable(t *testing.T, text []byte) map[string]int {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("reading the CSV: %v", err)
	}
	if diff := cmp.Diff(strings.Fields("id pushAvailable validTokens platform app state since"), rows[0]); diff != "" {
		t.Fatalf("the heading of the CSV (-want +got):\n%s", diff)
	}
	got := map[string]int{}
	for _, row := range rows[1:] {
		n := 0
		if _, err := fmt.Sscan(row[2], &n); err != nil {
			t.Fatal(err)
		}
		addExported(t, got, strings.TrimPrefix(row[0], "'"), n, row[1] == "true")
	}
	return got
}
