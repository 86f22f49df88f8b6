package fcm

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"

	"carillon.example/emulators/testcloud/check"
)

// TestAccessTokensForAnyGrant checks that the token endpoint gives out a token in the form of
// Google's, and that the fault of a request without a grant is the one of Google's.
func TestAccessTokensForAnyGrant(t *testing.T) {
	t.Parallel()
	s := start(t, Options{RequireAuth: true})
	ask := func(form string) (reply, map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(within(t), http.MethodPost, s.URL()+"/token", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatalf("decoding the answer to %q: %v", form, err)
		}
		return reply{code: resp.StatusCode, header: resp.Header}, body
	}

	for _, form := range []string{"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=nonsense", "grant_type=refresh_token&refresh_token=1"} {
		got, body := ask(form)
		check.Equal(t, got.code, http.StatusOK, "status of %s", form)
		check.Equal(t, got.header.Get("Content-Type"), "application/json; charset=UTF-8", "type of the answer to %s", form)
		check.Equal(t, body["token_type"], any("Bearer"), "token_type of %s", form)
		check.Equal(t, body["expires_in"], any(3599.0), "expires_in of %s", form)
		if token, ok := body["access_token"].(string); !ok || token == "" {
			t.Errorf("%s: access_token %v, want a text", form, body["access_token"])
		}
	}

	got, body := ask("assertion=nonsense")
	check.Equal(t, got.code, http.StatusBadRequest, "status without a grant")
	check.Equal(t, body["error"], any("invalid_request"), "error without a grant")
	check.Equal(t, call(t, s.Client(), http.MethodGet, s.URL()+"/token", "").code, http.StatusNotFound, "status of GET")
}

// TestServiceAccountKeyAlone sends with the Admin SDK of Go as gorush uses it: with nothing but
// the key of a service account. It is a process of its own, because SSL_CERT_FILE and
// HTTPS_PROXY are read once in a process.
func TestServiceAccountKeyAlone(t *testing.T) {
	t.Parallel()
	const keyOf = "FCM_TEST_SERVICE_ACCOUNT"
	if key := os.Getenv(keyOf); key != "" {
		sendWithKey(t, key)
		return
	}

	s := start(t, Options{RequireAuth: true, TLS: true})
	folder := t.TempDir()
	certificate := filepath.Join(folder, "fcm.pem")
	if err := os.WriteFile(certificate, s.CertificatePEM(), 0o600); err != nil {
		t.Fatalf("writing the certificate: %v", err)
	}
	for _, tokenURI := range []string{s.URL() + "/token", "https://oauth2.googleapis.com/token"} {
		s.Clear()
		cmd := exec.CommandContext(within(t), os.Args[0], "-test.run", "^TestServiceAccountKeyAlone$")
		cmd.Env = append(os.Environ(), keyOf+"="+writeServiceAccount(t, folder, tokenURI),
			"SSL_CERT_FILE="+certificate, "HTTPS_PROXY="+serveProxyTo(t, s.Addr()), "NO_PROXY=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("token_uri %s: sending failed: %v\n%s", tokenURI, err, out)
		}
		check.Equal(t, len(s.Messages(Filter{Token: token})), 1, "messages with the token_uri %s", tokenURI)
	}
}

// sendWithKey sends a message with the key of a service account. It is the child process of
// TestServiceAccountKeyAlone.
func sendWithKey(t *testing.T, file string) {
	t.Helper()
	app, err := firebase.NewApp(t.Context(), nil, option.WithAuthCredentialsFile(option.ServiceAccount, file))
	if err != nil {
		t.Fatal(err)
	}
	client, err := app.Messaging(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Send(within(t), phone(token, messaging.Message{})); err != nil {
		t.Fatal(err)
	}
}
