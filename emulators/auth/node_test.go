package auth_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestContractJSSDK runs the round of Google's JS SDK for web apps in node/. The SDK is
// installed with "npm ci" there; nothing else of this repository needs it.
func TestContractJSSDK(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed, so the round of the JS SDK cannot run")
	}
	if _, err := os.Stat("node/node_modules/firebase"); err != nil {
		t.Skip(`the JS SDK is not installed ("npm ci" in emulators/auth/node), so its round cannot run`)
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "round.test.mjs")
	cmd.Dir = "node"
	cmd.Env = append(os.Environ(), "AUTH="+strings.TrimPrefix(newContract(t).url, "http://"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the round failed: %v\n%s", err, out)
	}
}
