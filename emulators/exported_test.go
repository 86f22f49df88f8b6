package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExportedIsWhatWasImported: both commands against the functions, several
// pages, and ids that JSON, CSV and spreadsheets each read in their own way.
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
		said, err := command(t.Context(), "export", "-from", r.addr["API"], "-format", format, file).CombinedOutput()
		if err != nil || !strings.Contains(string(said), "customers exported to "+file) {
			t.Fatalf("%s: %v: %s", format, err, said)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, text)
		if !maps.Equal(got, want) {
			t.Errorf("%s: the file has %d customers, and not the %d with the tokens they were imported with", format, len(got), len(want))
		}
		streamed, err := command(t.Context(), "export", "-from", r.addr["API"], "-format", format, "-").Output()
		if err != nil || !maps.Equal(read(t, streamed), want) {
			t.Errorf("%s: to standard output came something else: %d bytes, and into the file %d; %v", format, len(streamed), len(text), err)
		}
	}
}

// mine are the customers of this test: the database may be one for all.
func mine(t *testing.T, got map[string]int, id string, tokens int, available bool) {
	t.Helper()
	if !strings.HasSuffix(id, "-exported") {
		return
	}
	if _, twice := got[id]; twice || available != (tokens > 0) {
		t.Errorf("%q: twice %t, available %t with %d tokens", id, twice, available, tokens)
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
		mine(t, got, l.ID, l.ValidTokens, l.PushAvailable)
	}
	return got
}

func readTable(t *testing.T, text []byte) map[string]int {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || strings.Join(rows[0], " ") != "id pushAvailable validTokens platform app state since" {
		t.Fatalf("%v, %v", rows[:1], err)
	}
	got := map[string]int{}
	for _, row := range rows[1:] {
		n := 0
		if _, err := fmt.Sscan(row[2], &n); err != nil {
			t.Fatal(err)
		}
		mine(t, got, strings.TrimPrefix(row[0], "'"), n, row[1] == "true")
	}
	return got
}
