package fcm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

// TestCurl sends as Google's documentation shows it, over HTTP/1.1, HTTP/2
// with prior knowledge, and TLS, and calls each host of Google whose name the server has.
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
		switch {
		case err != nil:
			t.Errorf("%v: error %v, want none", c.args, err)
		case !strings.Contains(string(out), `"name": "projects/myproject-b5ae1/messages/0:`):
			t.Errorf(`%v: output %q, want "name": "projects/myproject-b5ae1/messages/0: in it`, c.args, string(out))
		case !strings.HasSuffix(string(out), "200 "+c.proto):
			t.Errorf("%v: output %q, want %q at its end", c.args, out, "200 "+c.proto)
		}
	}
	// The hosts of Google are redirected to the server, as a hosts entry or a proxy does it
	// for clients without a setting for the endpoint.
	_, port, _ := strings.Cut(secure.Addr(), ":")
	for _, google := range []struct{ host, path, body string }{
		{"fcm.googleapis.com", "/v1/projects/p/messages:send", toToken(token)},
		{"iid.googleapis.com", "/iid/v1:batchAdd", `{"to":"/topics/news","registration_tokens":["` + token + `"]}`},
		{"oauth2.googleapis.com", "/token", "grant_type=refresh_token"},
	} {
		cmd := exec.CommandContext(within(t), curl, "-sS", "--cacert", ca, "--connect-to", google.host+":443:127.0.0.1:"+port,
			"-H", "Authorization: Bearer ya29.x", "-H", "access_token_auth: true", "-w", "%{http_code}", "-d", google.body, "https://"+google.host+google.path)
		cmd.Stderr = t.Output()
		switch out, err := cmd.Output(); {
		case err != nil:
			t.Errorf("as %s: error %v, want none", google.host, err)
		case !strings.HasSuffix(string(out), "200"):
			t.Errorf(`as %s: output %q, want "200" at its end`, google.host, out)
		}
	}
	check.Equal(t, secure.Topics()["news"], 1, "subscribers of the topic")
	switch got := clear.Messages(Filter{Text: "this is an fcm"}); {
	case len(got) != 2:
		t.Errorf("kept: %v messages, want 2", len(got))
	case got[0].Project != "myproject-b5ae1":
		t.Errorf(`kept: project %q, want "myproject-b5ae1"`, got[0].Project)
	}
}
