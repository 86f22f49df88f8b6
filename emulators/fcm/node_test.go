package fcm

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNodeAdminSDK runs the Admin SDK of Node with the server: HTTP/1.1 for one message,
// HTTP/2 for many, in clear text and with TLS.
func TestNodeAdminSDK(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node on this machine")
	}
	if _, err := os.Stat("node/node_modules/firebase-admin"); err != nil {
		t.Skip("firebase-admin is not installed: run `npm ci` in emulators/fcm/node")
	}
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", secure), func(t *testing.T) {
			t.Parallel()
			nodeRound(t, node, secure)
		})
	}
}

func nodeRound(t *testing.T, node string, secure bool) {
	s := start(t, Options{TLS: secure, RequireAuth: true})
	s.SetOutcome("*-gone", "UNREGISTERED")
	cmd := exec.CommandContext(within(t), node, "--import", "./redirect.mjs", "round.mjs")
	cmd.Env = append(os.Environ(), "FCM_EMULATOR="+s.Addr())
	if secure {
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, s.CertificatePEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "FCM_EMULATOR_CA="+ca)
	}
	cmd.Dir = "node"
	cmd.Stderr = t.Output()
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	var got struct {
		Send, DryRun, Topic              string
		Unregistered, Malformed          struct{ Code, Message string }
		Each                             []string
		Subscribed, Unsubscribed, Legacy []int
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	const id = "projects/" + project + "/messages/"
	switch {
	case !strings.HasPrefix(got.Send, id+"0:"):
		t.Errorf("ids in %s: send %q, want %q at its start", b, got.Send, id+"0:")
	case got.DryRun != id+"fake_message_id":
		t.Errorf("ids in %s: dry run %v, want %v", b, got.DryRun, id+"fake_message_id")
	case !strings.HasPrefix(got.Topic, id):
		t.Errorf("ids in %s: topic %q, want %q at its start", b, got.Topic, id)
	}
	switch {
	case got.Unregistered.Code != "messaging/registration-token-not-registered":
		t.Errorf(`errors in %s: code %q, want "messaging/registration-token-not-registered"`, b, got.Unregistered.Code)
	case got.Unregistered.Message != noEntity:
		t.Errorf("errors in %s: message %v, want %v", b, got.Unregistered.Message, noEntity)
	case got.Malformed.Code != "messaging/invalid-argument":
		t.Errorf(`errors in %s: code %q, want "messaging/invalid-argument"`, b, got.Malformed.Code)
	case got.Malformed.Message != badToken:
		t.Errorf("errors in %s: message %v, want %v", b, got.Malformed.Message, badToken)
	}
	if !slices.Equal(got.Each, []string{"ok", "messaging/registration-token-not-registered", "ok"}) {
		t.Errorf("each: %v", got.Each)
	}
	switch {
	case !slices.Equal(got.Subscribed, []int{2, 1}):
		t.Errorf("topics: %s: subscribed %v, want %v", b, got.Subscribed, []int{2, 1})
	case !slices.Equal(got.Unsubscribed, []int{1, 0}):
		t.Errorf("topics: %s: unsubscribed %v, want %v", b, got.Unsubscribed, []int{1, 0})
	case !slices.Equal(got.Legacy, []int{1, 0}):
		t.Errorf("topics: %s: legacy %v, want %v", b, got.Legacy, []int{1, 0})
	}
	if subs := s.Subscribers("spring"); !slices.Equal(subs, []string{"node-token-two"}) {
		t.Errorf("subscribers %v", subs)
	}
	if kept := s.Messages(Filter{Mailing: "node"}); len(kept) != 3 {
		t.Errorf("%d messages of the mailing, want 3", len(kept))
	}
}
