package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheEmulatorsInAModuleOfItsOwn runs emulators/example outside of this
// repository, as README says that a project uses the emulators.
func TestTheEmulatorsInAModuleOfItsOwn(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join("example", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(outside, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}

	got := ""
	for _, args := range [][]string{
		{"mod", "edit", "-replace", "carillon.example=" + root},
		{"run", "."},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = outside
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "FIRESTORE_EMULATOR_HOST=", "PUBSUB_EMULATOR_HOST=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		got = string(out)
	}
	want := "Firestore has Anna\nPub/Sub has 1 message\nFCM has a message for annas-phone-0123456789\n"
	if !strings.HasSuffix(got, want) {
		t.Errorf("it printed %q, want %q at the end", got, want)
	}
}
