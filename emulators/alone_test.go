package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/local"
	"carillon.example/emulators/testcloud/check"
)

// TestFCMAloneWithTLSAndAuthorization checks that a client that trusts the certificate
// file of the command is accepted with a bearer token, and refused without one.
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
		if resp.StatusCode != want {
			t.Errorf("with the header Authorization: %q: status %d, want %d", bearer, resp.StatusCode, want)
		}
		if resp.ProtoMajor != 2 {
			t.Errorf("with the header Authorization: %q: the protocol is %s, want HTTP/2", bearer, resp.Proto)
		}
	}
}

// TestFunctionsNeedAnOpenFCM checks that flags that would lock the functions out of FCM
// are refused: the functions send credentials to Google's host only.
func TestFunctionsNeedAnOpenFCM(t *testing.T) {
	t.Parallel()
	for _, o := range []local.Options{{FCMAuth: true}, {FCMTLS: "fcm.pem"}} {
		check.Error(t, fmt.Sprintf("-fcm-auth=%t -fcm-tls=%q", o.FCMAuth, o.FCMTLS), o.ChooseEmulators(""), "-only fcm")
		if err := o.ChooseEmulators("fcm"); err != nil {
			t.Errorf("-only fcm: the error is %v, want none", err)
		}
	}
}
