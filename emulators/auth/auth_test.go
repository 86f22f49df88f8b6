package auth_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/auth"
)

func start(t *testing.T) *auth.Server {
	t.Helper()
	s, err := auth.Start("127.0.0.1:0", auth.Options{Project: "demo-shop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func call(t *testing.T, c *http.Client, method, url, body string, into any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer owner")
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil && res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	return res.StatusCode
}

// TestTokens checks that a token of the admin interface is signed by the key of the
// certificate that is served under Google's host name.
func TestTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	var issued struct{ IDToken string }
	if code := call(t, http.DefaultClient, "POST", "http://"+s.Addr()+"/emulator/tokens", `{"sub":"ada","customer":"c-1"}`, &issued); code != 200 {
		t.Fatalf("answered %d", code)
	}
	var certs map[string]string
	google := &http.Client{Transport: s.Transport()}
	if code := call(t, google, "GET", "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com", "", &certs); code != 200 {
		t.Fatalf("answered %d", code)
	}
	parts := strings.Split(issued.IDToken, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Aud, Sub, Customer string
		Iat, Exp                int64
	}
	decode(t, parts[0], &header)
	decode(t, parts[1], &claims)
	for name, c := range map[string]struct{ got, want string }{
		"iss":      {claims.Iss, "https://securetoken.google.com/demo-shop"},
		"aud":      {claims.Aud, "demo-shop"},
		"sub":      {claims.Sub, "ada"},
		"customer": {claims.Customer, "c-1"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("claim %s is %q, want %q", name, c.got, c.want)
			}
		})
	}
	if got := claims.Exp - claims.Iat; got != 3600 {
		t.Errorf("the token is valid for %d s, want 3600 s", got)
	}
	block, _ := pem.Decode([]byte(certs[header.Kid]))
	if block == nil {
		t.Fatalf("there is no certificate for key %q, want one", header.Kid)
	}
	if header.Alg != "RS256" {
		t.Fatalf("alg is %q, want RS256", header.Alg)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature); err != nil {
		t.Error(err)
	}
}

func decode(t *testing.T, part string, into any) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// TestAccounts checks that lookups return the accounts that were set over HTTP.
func TestAccounts(t *testing.T) {
	t.Parallel()
	s := start(t)
	since := time.Unix(1_800_000_000, 0).UTC()
	for uid, body := range map[string]string{
		"gone": `{"deleted":true}`, "off": `{"disabled":true}`, "out": fmt.Sprintf(`{"validSince":%q}`, since.Format(time.RFC3339)),
	} {
		t.Run(uid, func(t *testing.T) {
			if code := call(t, http.DefaultClient, "PUT", "http://"+s.Addr()+"/emulator/accounts/"+uid, body, nil); code != 204 {
				t.Errorf("%s: answered %d", uid, code)
			}
		})
	}
	for _, uid := range []string{"new", "gone"} { // a token makes an account, unless it was set to be deleted
		if code := call(t, http.DefaultClient, "POST", "http://"+s.Addr()+"/emulator/tokens", fmt.Sprintf(`{"sub":%q}`, uid), nil); code != 200 {
			t.Fatalf("a token of %s: answered %d, want 200", uid, code)
		}
	}
	type user struct {
		LocalID    string
		Disabled   bool
		ValidSince string
	}
	var found struct{ Users []user }
	const path = "/v1/projects/demo-shop/accounts:lookup"
	for _, url := range []string{"http://" + s.Addr() + "/identitytoolkit.googleapis.com" + path, "http://" + s.Addr() + path} {
		if code := call(t, http.DefaultClient, "POST", url, `{"localId":["gone","off","out","new","nobody"]}`, &found); code != 200 {
			t.Fatalf("answered %d", code)
		}
		want := []user{{"off", true, ""}, {"out", false, "1800000000"}, {"new", false, ""}}
		if fmt.Sprint(found.Users) != fmt.Sprint(want) {
			t.Errorf("found %+v, want %+v", found.Users, want)
		}
	}
}

// TestFaults checks that invalid requests get an error, and that the transport
// refuses connections to other hosts.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/emulator/tokens", `[`, 400},
		{"POST", "/emulator/tokens", `{"customer":"c"}`, 400},
		{"PUT", "/emulator/accounts/ada", `[]`, 400},
		{"POST", "/v1/projects/demo-shop/accounts:lookup", `no`, 400},
		{"GET", "/nowhere", ``, 404},
	} {
		t.Run(c.method, func(t *testing.T) {
			if code := call(t, http.DefaultClient, c.method, "http://"+s.Addr()+c.path, c.body, nil); code != c.want {
				t.Errorf("%s %s %s: answered %d, want %d", c.method, c.path, c.body, code, c.want)
			}
		})
	}
	for _, url := range []string{"https://fcm.googleapis.com/", "http://" + s.Addr() + "/"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := s.Transport().RoundTrip(r); err == nil {
			res.Body.Close()
			t.Errorf("%s was reached", url)
		}
	}
	s.Break(true)
	if code := call(t, http.DefaultClient, "POST", "http://"+s.Addr()+"/emulator/tokens", `{"sub":"ada"}`, nil); code != 403 {
		t.Errorf("broken, it answered %d", code)
	}
}
