package fcm

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

// TestAppriseInPython sends with Apprise, a client in Python that knows only FCM's own address.
// It trusts the emulator's certificate, and a proxy takes it to the emulator instead of Google.
// The key of its service account names the emulator as the one that gives out access tokens.
func TestAppriseInPython(t *testing.T) {
	t.Parallel()
	apprise, err := exec.LookPath("apprise")
	if err != nil {
		t.Skip("apprise is not installed (Debian has it as a package), so a client of FCM in Python cannot run")
	}
	if err := exec.CommandContext(within(t), interpreterOf(t, apprise), "-c", "import cryptography").Run(); err != nil {
		t.Skip("the Python of apprise has no module cryptography (Debian: python3-cryptography), so its plugin for FCM is off")
	}

	s := start(t, Options{RequireAuth: true, TLS: true})
	folder := t.TempDir()
	certificate := filepath.Join(folder, "fcm.pem")
	if err := os.WriteFile(certificate, s.CertificatePEM(), 0o600); err != nil {
		t.Fatalf("writing the certificate: %v", err)
	}
	key := writeServiceAccount(t, folder, s.URL()+"/token")
	proxy := serveProxyTo(t, s.Addr())

	send := func(token string) (string, error) {
		cmd := exec.CommandContext(within(t), apprise, "-vvv", "-t", "Order", "-b", "It is ready",
			fmt.Sprintf("fcm://demo-shop/%s/?mode=oauth2&keyfile=%s", token, key))
		cmd.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+certificate, "HTTPS_PROXY="+proxy, "NO_PROXY=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	s.SetOutcome("gone-phone", "UNREGISTERED")
	if out, err := send("anna-phone"); err != nil {
		t.Fatalf("sending failed: %v\n%s", err, out)
	}
	messages := s.Messages(Filter{Token: "anna-phone"})
	check.MustEqual(t, len(messages), 1, "messages for the token")
	check.Equal(t, messages[0].Project, "demo-shop", "project of the message")
	var message struct {
		Notification struct{ Title, Body string }
	}
	if err := json.Unmarshal(messages[0].Raw, &message); err != nil {
		t.Fatalf("decoding the message: %v", err)
	}
	check.Equal(t, message.Notification.Title, "Order", "title")
	check.Equal(t, message.Notification.Body, "It is ready", "body")

	out, err := send("gone-phone")
	if err == nil {
		t.Errorf("sending to an unregistered token succeeded, want an error")
	}
	check.Contains(t, out, "error=404", "what the client says of an unregistered token")
}

// interpreterOf returns the program that runs a script, as its first line names it.
func interpreterOf(t *testing.T, script string) string {
	t.Helper()
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatalf("reading %s: %v", script, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	interpreter, found := strings.CutPrefix(line, "#!")
	if !found {
		t.Fatalf("%s begins with %q, want the name of an interpreter", script, line)
	}
	return strings.TrimSpace(interpreter)
}

// writeServiceAccount writes the key of a service account, as Google's console gives it out, and
// returns the name of the file.
func writeServiceAccount(t *testing.T, folder, tokenURI string) string {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatalf("encoding the key: %v", err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "demo-shop", "private_key_id": "1", "client_email": "sender@demo-shop.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": tokenURI,
	})
	if err != nil {
		t.Fatalf("encoding the service account: %v", err)
	}
	file := filepath.Join(folder, "account.json")
	if err := os.WriteFile(file, account, 0o600); err != nil {
		t.Fatalf("writing the service account: %v", err)
	}
	return file
}

// serveProxyTo starts an HTTP proxy that connects each client to one server, whatever server the
// client asks for, and returns the address of the proxy.
func serveProxyTo(t *testing.T, server string) string {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		up, err := net.Dial("tcp", server)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer up.Close()
		w.WriteHeader(http.StatusOK)
		down, rest, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("taking the connection of the client: %v", err)
			return
		}
		defer down.Close()
		go func() { _, _ = io.Copy(up, rest) }() // ends when the client closes its side, or up is closed
		_, _ = io.Copy(down, up)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}
