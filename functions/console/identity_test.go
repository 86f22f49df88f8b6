package console

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
)

const audience = "/projects/1/locations/europe-west1/services/carillon-console"

// An issuer signs as Identity-Aware Proxy does, and serves its key as gstatic does.
type issuer struct {
	key   *ecdsa.PrivateKey
	asked []string
	away  bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{key: key}
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.asked = append(i.asked, r.URL.String())
	if i.away {
		return &http.Response{StatusCode: 503, Status: "503 Service Unavailable", Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
	}
	b, err := i.key.PublicKey.Bytes() // 4, x and y
	if err != nil {
		return nil, err
	}
	jwk := map[string]string{"alg": "ES256", "crv": "P-256", "kid": "k1", "kty": "EC", "use": "sig", "x": encode(b[1:33]), "y": encode(b[33:])}
	keys, _ := json.Marshal(map[string]any{"keys": []any{jwk}})
	return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=3600"}}, Body: io.NopCloser(strings.NewReader(string(keys))), Request: r}, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign signs claims; with key nil the token has an empty signature.
func sign(header, claims map[string]any, key *ecdsa.PrivateKey) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	text := encode(h) + "." + encode(c)
	if key == nil {
		return text + "."
	}
	sum := sha256.Sum256([]byte(text))
	r, s, _ := ecdsa.Sign(rand.Reader, key, sum[:])
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + encode(sig)
}

func claims(change map[string]any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{"iss": iapIssuer, "aud": audience, "iat": now - 5, "exp": now + 600, "email": "Anna@Shop.example", "sub": "accounts.google.com:1"}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

var es256 = map[string]any{"alg": "ES256", "typ": "JWT", "kid": "k1"}

// TestIdentityAwareProxy: who is let in by the signed header, and who is not.
func TestIdentityAwareProxy(t *testing.T) {
	t.Parallel()
	google, forger := newIssuer(t), newIssuer(t)
	good := sign(es256, claims(nil), google.key)
	cut := func(s string, n int) string { return s[:len(s)-n] }
	for name, c := range map[string]struct {
		header []string
		want   push.Caller
	}{
		"good":                {[]string{good}, "anna@shop.example"},
		"none":                {nil, ""},
		"two":                 {[]string{good, good}, ""},
		"nonsense":            {[]string{"nonsense"}, ""},
		"too long":            {[]string{good + strings.Repeat("x", maxAssertion)}, ""},
		"another key":         {[]string{sign(es256, claims(nil), forger.key)}, ""},
		"unknown key id":      {[]string{sign(map[string]any{"alg": "ES256", "kid": "k2"}, claims(nil), google.key)}, ""},
		"alg none":            {[]string{sign(map[string]any{"alg": "none"}, claims(nil), nil)}, ""},
		"RS256":               {[]string{sign(map[string]any{"alg": "RS256", "kid": "k1"}, claims(nil), google.key)}, ""},
		"empty signature":     {[]string{sign(es256, claims(nil), nil)}, ""},
		"short signature":     {[]string{cut(good, 60)}, ""},
		"changed":             {[]string{strings.Replace(good, ".", ".e30", 1)}, ""},
		"other audience":      {[]string{sign(es256, claims(map[string]any{"aud": audience + "-2"}), google.key)}, ""},
		"no audience":         {[]string{sign(es256, claims(map[string]any{"aud": nil}), google.key)}, ""},
		"other issuer":        {[]string{sign(es256, claims(map[string]any{"iss": "https://accounts.google.com"}), google.key)}, ""},
		"expired":             {[]string{sign(es256, claims(map[string]any{"exp": time.Now().Unix() - 60}), google.key)}, ""},
		"no expiry":           {[]string{sign(es256, claims(map[string]any{"exp": nil}), google.key)}, ""},
		"from the future":     {[]string{sign(es256, claims(map[string]any{"iat": time.Now().Unix() + 600}), google.key)}, ""},
		"no address":          {[]string{sign(es256, claims(map[string]any{"email": nil}), google.key)}, ""},
		"an address no text":  {[]string{sign(es256, claims(map[string]any{"email": 7}), google.key)}, ""},
		"an address too long": {[]string{sign(es256, claims(map[string]any{"email": strings.Repeat("a", 300) + "@shop.example"}), google.key)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := NewIAP(t.Context(), audience, google)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["X-Goog-Iap-Jwt-Assertion"] = c.header
			r.Header.Set("X-Goog-Authenticated-User-Email", "accounts.google.com:boss@shop.example") // not signed, so not read
			got, err := p.identify(r)
			if got != c.want {
				t.Errorf("it is %q, want %q", got, c.want)
			}
			if _, refused := errors.AsType[*unauthenticated](err); refused != (c.want == "") {
				t.Errorf("the error is %v", err)
			}
		})
	}
	for _, address := range google.asked {
		if address != "https://www.gstatic.com/iap/verify/public_key-jwk" {
			t.Errorf("keys were fetched from %s", address)
		}
	}
}

// TestKeysOutOfReach: without Google's keys nobody is refused for good.
func TestKeysOutOfReach(t *testing.T) {
	t.Parallel()
	google := newIssuer(t)
	google.away = true
	p, err := NewIAP(t.Context(), audience, google)
	if err != nil {
		t.Fatal(err)
	}
	w := newHarness(t, "", func(d *Deps) { d.Identity = p })
	a := w.ask("GET", "/", "", iapHeader, sign(es256, claims(nil), google.key))
	if a.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d, want 503", a.Code)
	}
	if a.Header().Get("Retry-After") == "" {
		t.Error("the answer has no Retry-After")
	}
}

// TestInvoker: through gcloud run services proxy, the person is in the ID token.
func TestInvoker(t *testing.T) {
	t.Parallel()
	token := func(claims string) string { return "Bearer e30." + encode([]byte(claims)) + ".x" }
	for name, c := range map[string]struct{ token, want string }{
		"person":       {token(`{"email":"Anna@shop.example","email_verified":true}`), "anna@shop.example"},
		"not verified": {token(`{"email":"anna@shop.example","sub":"1"}`), ""},
		"none":         {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			if c.token != "" {
				r.Header.Set("Authorization", c.token)
			}
			got, err := Invoker{}.identify(r)
			if string(got) != c.want {
				t.Errorf("%s: it is %q, want %q", name, got, c.want)
			}
			if (err != nil) != (c.want == "") {
				t.Errorf("%s: the error is %v", name, err)
			}
		})
	}
}

// TestSettings names every fault, and lets nobody in by a wrong setting.
func TestSettings(t *testing.T) {
	good := settings{Identity: "iap", Audience: audience, Send: []string{"@shop.example"}, MailingsURL: "https://m.run.app", CustomersURL: "https://c.run.app"}
	for name, c := range map[string]struct {
		change func(*settings)
		want   string
	}{
		"good":           {func(*settings) {}, ""},
		"proxy":          {func(s *settings) { s.Identity, s.Audience = "proxy", "" }, ""},
		"no audience":    {func(s *settings) { s.Audience = "" }, "IAP_AUDIENCE is empty"},
		"identity":       {func(s *settings) { s.Identity = "none" }, `CONSOLE_IDENTITY is "none"`},
		"a star":         {func(s *settings) { s.Look = []string{"*@shop.example"} }, "CONSOLE_LOOK"},
		"a domain alone": {func(s *settings) { s.Send = []string{"shop.example"} }, "CONSOLE_SEND"},
		"an at alone":    {func(s *settings) { s.Send = []string{"@"} }, "CONSOLE_SEND"},
		"no TLS":         {func(s *settings) { s.MailingsURL = "http://m.run.app" }, "MAILINGS_URL"},
		"laptop":         {func(s *settings) { s.Identity = "laptop" }, "on Cloud Run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("K_SERVICE", "carillon-console")
			s := good
			c.change(&s)
			err := errors.Join(s.Check()...)
			if c.want == "" && err != nil {
				t.Errorf("faults: %v", err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("faults: %v, want %s", err, c.want)
			}
		})
	}
}

// TestRolesOfDomains: a domain is no ending of another one.
func TestRolesOfDomains(t *testing.T) {
	t.Parallel()
	r := Roles{Look: []string{"@shop.example"}, Send: []string{" Boss@Shop.example "}}
	for who, want := range map[push.Caller]Role{
		"boss@shop.example": RoleSend, "anna@shop.example": RoleLook, "eve@evilshop.example": RoleNone, "eve@a.shop.example": RoleNone,
		"eve@shop.example.evil.example": RoleNone, "@shop.example": RoleNone, "shop.example": RoleNone, "": RoleNone,
	} {
		if got := r.of(who); got != want {
			t.Errorf("%s has the role %q, want %q", who, got, want)
		}
	}
}
