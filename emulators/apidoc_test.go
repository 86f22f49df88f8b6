package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var shell = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestTheCommandsOfDocuments runs the commands of the pages that are about the API, each
// page from its top: none fails.
func TestTheCommandsOfDocuments(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "curl", "gzip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the commands need %s", program)
		}
	}
	for _, page := range []string{"api.md", "operations.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../docs/" + page)
			if err != nil {
				t.Fatal(err)
			}
			r := serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0")

			var script strings.Builder
			script.WriteString("set -euo pipefail\n")
			for _, block := range shell.FindAllStringSubmatch(string(text), -1) {
				script.WriteString(block[1])
			}
			cmd := exec.CommandContext(t.Context(), "bash", "-x", "-c", script.String())
			cmd.Env = append(os.Environ(), "API="+r.addr["API"], "DEVICES="+r.addr["Devices"], "AUTH="+r.addr["Auth"])
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("a command fails: %v\n%s", err, out)
			}
		})
	}
}
