package main

import (
	"os"
	"os/exec"
	"testing"
)

// TestDevicesOfTheJSSDK checks that the function devices accepts the ID tokens that Google's
// JS SDK for web apps gets from the Auth emulator: after a sign-in, and after a refresh.
func TestDevicesOfTheJSSDK(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed, so the round of the JS SDK cannot run")
	}
	if _, err := os.Stat("auth/node/node_modules/firebase"); err != nil {
		t.Skip(`the JS SDK is not installed ("npm ci" in emulators/auth/node), so its round cannot run`)
	}
	r := serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0")
	cmd := exec.CommandContext(t.Context(), node, "--test", "round.test.mjs")
	cmd.Dir = "auth/node"
	cmd.Env = append(os.Environ(), "AUTH="+r.addr["Auth"], "DEVICES="+r.addr["Devices"])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the round failed: %v\n%s", err, out)
	}
}
