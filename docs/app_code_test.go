package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestCodeForWebAppsCompiles checks the types of the code for web apps against the packages
// of Firebase that docs/apps/package.json pins.
func TestCodeForWebAppsCompiles(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no Node")
	}
	compiler, err := filepath.Abs("apps/node_modules/.bin/tsc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(compiler); err != nil {
		t.Skip("TypeScript is not installed: run npm ci in docs/apps")
	}

	cmd := exec.CommandContext(t.Context(), compiler, "--project", ".")
	cmd.Dir = "apps"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}
