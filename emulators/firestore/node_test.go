package firestore_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestNodeClient runs the round of Google's Node client in node/, over gRPC and over HTTP
// with JSON. The client is installed with "npm ci" there; nothing else of this repository
// needs it.
func TestNodeClient(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the Node client's round is left out of short runs")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed, so the Node client's round cannot run")
	}
	if _, err := os.Stat(filepath.Join("node", "node_modules", "@google-cloud", "firestore")); err != nil {
		t.Skip(`the Node client is not installed ("npm install" in emulators/firestore/node), so its round cannot run`)
	}
	for name, preferRest := range map[string]string{"gRPC": "0", "REST": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), node, "--test", "round.test.mjs")
			cmd.Dir = "node"
			cmd.Env = append(os.Environ(), "FIRESTORE_EMULATOR_HOST="+address(t), "PREFER_REST="+preferRest)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("the round failed: %v\n%s", err, out)
			}
		})
	}
}
