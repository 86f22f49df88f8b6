package main

import (
	"os"
	"os/exec"
	"testing"

	"carillon.example/emulators/firestore"
)

// TestDevicesOfTheJSSDK checks that the function devices accepts the ID tokens that Google's
// JS SDK for web apps gets from the Auth emulator: after a sign-in, and after a refresh.
func TestDevicesOfTheJSSDK(t *testing.T) {
	t.Parallel()
	node := findJSSDK(t)
	r := serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0")
	runRound(t, node, "round.test.mjs", "AUTH="+r.addr["Auth"], "DEVICES="+r.addr["Devices"])
}

// TestFirestoreLiteOfTheJSSDK checks that the part of the SDK that needs no listeners works
// with the Firestore emulator.
func TestFirestoreLiteOfTheJSSDK(t *testing.T) {
	t.Parallel()
	node := findJSSDK(t)
	s, err := firestore.Start("127.0.0.1:0", firestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	runRound(t, node, "lite.test.mjs", "FIRESTORE="+s.Addr())
}

// findJSSDK returns the path of node. It skips the test if node or the SDK is missing.
func findJSSDK(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed, so the round of the JS SDK cannot run")
	}
	if _, err := os.Stat("auth/node/node_modules/firebase"); err != nil {
		t.Skip(`the JS SDK is not installed ("npm ci" in emulators/auth/node), so its round cannot run`)
	}
	return node
}

// runRound runs a test of emulators/auth/node.
func runRound(t *testing.T, node, file string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), node, "--test", file)
	cmd.Dir = "auth/node"
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s failed: %v\n%s", file, err, out)
	}
}
