package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestNoLogLineHasAWholeToken greps everything the functions log while the
// demo runs for every token in it.
func TestNoLogLineHasAWholeToken(t *testing.T) {
	t.Parallel()
	d := theDemo()
	logged := d.logged
	if d.err != nil {
		t.Fatalf("the demo failed: %v\n%s", d.err, logged)
	}
	if n := strings.Count(logged, `"severity":`); n < 20 {
		t.Fatalf("the functions logged %d lines, want at least 20", n)
	}
	file, err := os.Open("demo/customers.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tokens := 0
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c struct{ Tokens []struct{ Token, FID string } }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		for _, x := range c.Tokens {
			if tokens++; strings.Contains(logged, x.Token+x.FID) {
				t.Errorf("token %s is in the log", x.Token+x.FID)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if tokens < 1000 {
		t.Fatalf("the demo's file has %d tokens, want at least 1000", tokens)
	}
}
