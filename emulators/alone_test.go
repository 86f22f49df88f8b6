package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/local"
)

// TestFCMAloneWithTLSAndAuthorization: a client of its own, which trusts the
// certificate the command wrote, gets in with a bearer token.
func TestFCMAloneWithTLSAndAuthorization(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fcm.pem")
	r := serveCommand(t, "-only", "fcm", "-fcm-auth", "-fcm-tls", file)
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for bearer, want := range map[string]int{"": http.StatusUnauthorized, "Bearer owner": http.StatusOK} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.addr["FCM"]+"/v1/projects/demo/messages:send",
			strings.NewReader(`{"message":{"token":"phone-0123456789"}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", bearer)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || resp.ProtoMajor != 2 {
			t.Errorf("with %q: %s over %s, want %d over HTTP/2", bearer, resp.Status, resp.Proto, want)
		}
	}
}

// TestFunctionsNeedAnOpenFCM: the functions bring credentials to Google's host
// only, so what would lock them out is refused.
func TestFunctionsNeedAnOpenFCM(t *testing.T) {
	t.Parallel()
	for _, o := range []local.Options{{FCMAuth: true}, {FCMTLS: "fcm.pem"}} {
		if err := o.ChooseEmulators(""); err == nil || !strings.Contains(err.Error(), "-only fcm") {
			t.Errorf("%t %q: %v", o.FCMAuth, o.FCMTLS, err)
		}
		if err := o.ChooseEmulators("fcm"); err != nil {
			t.Error(err)
		}
	}
}
