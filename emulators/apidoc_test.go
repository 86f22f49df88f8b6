package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var shell = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestTheCommandsOfTheAPIPage runs every command of docs/api.md in its order: none
// fails.
func TestTheCommandsOfTheAPIPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"bash", "curl", "gzip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the page's commands need %s", program)
		}
	}
	r := serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0")

	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for _, block := range shell.FindAllStringSubmatch(string(page), -1) {
		script.WriteString(block[1])
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-x", "-c", script.String())
	cmd.Env = append(os.Environ(), "API="+r.addr["API"], "DEVICES="+r.addr["Devices"], "AUTH="+r.addr["Auth"])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
