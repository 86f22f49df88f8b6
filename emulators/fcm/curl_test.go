package fcm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCurl sends as Google's documentation shows it, over HTTP/1.1, HTTP/2
// with prior knowledge, and TLS.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl on this machine")
	}
	clear, secure := start(t, Options{RequireAuth: true}), start(t, Options{RequireAuth: true, TLS: true})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, secure.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s     *Server
		proto string
		args  []string
	}{
		{clear, "1.1", []string{"--http1.1"}}, {clear, "2", []string{"--http2-prior-knowledge"}}, {secure, "2", []string{"--cacert", ca}},
	} {
		args := append([]string{"-sS", "-X", "POST", "-H", "Authorization: Bearer ya29.x", "-H", "Content-Type: application/json",
			"-w", "%{http_code} %{http_version}", "-d", `{
"message":{
   "notification":{
     "title":"FCM Message",
     "body":"This is an FCM Message"
   },
   "token":"bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1"
}}`, c.s.URL() + "/v1/projects/myproject-b5ae1/messages:send"}, c.args...)
		cmd := exec.CommandContext(within(t), curl, args...)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), `"name": "projects/myproject-b5ae1/messages/0:`) || !strings.HasSuffix(string(out), "200 "+c.proto) {
			t.Errorf("%v: %v %s", c.args, err, out)
		}
	}
	// The host of Google is redirected to the server, as a hosts entry or a proxy does it
	// for clients without a setting for the endpoint.
	_, port, _ := strings.Cut(secure.Addr(), ":")
	cmd := exec.CommandContext(within(t), curl, "-sS", "--cacert", ca, "--connect-to", "fcm.googleapis.com:443:127.0.0.1:"+port,
		"-H", "Authorization: Bearer ya29.x", "-w", "%{http_code}", "-d", toToken(token), "https://fcm.googleapis.com/v1/projects/p/messages:send")
	cmd.Stderr = t.Output()
	if out, err := cmd.Output(); err != nil || !strings.HasSuffix(string(out), "200") {
		t.Errorf("as fcm.googleapis.com: %v %s", err, out)
	}
	if got := clear.Messages(Filter{Text: "this is an fcm"}); len(got) != 2 || got[0].Project != "myproject-b5ae1" {
		t.Errorf("kept %+v", got)
	}
}
