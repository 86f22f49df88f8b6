package devices

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	google "carillon.example/emulators/auth"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/auth"
	"carillon.example/shared/cloud"
	"carillon.example/shared/push"
)

// TestIDTokens: who is not let in, through the Admin SDK's own verifier, and in
// which words.
func TestIDTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	forger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claims := func(k string, v any) string { return issuer.Token(map[string]any{"sub": "ada", k: v}) }
	for name, token := range map[string]string{
		"expired":       claims("exp", time.Now().Add(-time.Hour).Unix()),
		"in the future": claims("iat", time.Now().Add(time.Hour).Unix()),
		"audience":      claims("aud", "other-shop"),
		"issuer":        claims("iss", "https://securetoken.google.com/other-shop"),
		"empty uid":     claims("sub", ""),
		"wrong key":     google.Sign(issuer.Header(), issuer.Claims("ada"), forger),
		"alg none":      google.Sign(map[string]any{"alg": "none", "kid": issuer.Header()["kid"], "typ": "JWT"}, issuer.Claims("ada"), nil),
		"an emulator's": google.Sign(map[string]any{"alg": "none", "typ": "JWT"}, issuer.Claims("ada"), nil),
		"too long":      strings.Repeat("x", auth.MaxToken+1),
		"nonsense":      "nonsense",
	} {
		for _, call := range [][2]string{{"POST", "/v1/devices"}, {"DELETE", "/v1/devices/" + push.TokenID("x")}, {"GET", "/openapi.json"}, {"PUT", "/nowhere"}} {
			a := w.ask(call[0], call[1], token, "")
			if a.Code != 401 || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), `Bearer error="invalid_token", error_description="`) {
				t.Errorf("%s: %s: %v", name, call, a)
			}
		}
	}
	if got := w.tokens("ada"); got != nil {
		t.Errorf("ada has %v", got)
	}
}

// TestNoIDToken: a header that holds none is answered before anything is read.
func TestNoIDToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	good := person("ada")
	w.sent = append(w.sent, good)
	for name, header := range map[string][]string{
		"none":         nil,
		"empty":        {"Authorization", ""},
		"no scheme":    {"Authorization", good},
		"Basic":        {"Authorization", "Basic " + good},
		"only Bearer":  {"Authorization", "Bearer"},
		"Bearer blank": {"Authorization", "Bearer  "},
		"two":          {"Authorization", "Bearer " + good, "Authorization", "Bearer " + good},
		"in a cookie":  {"Cookie", "__session=" + good},
		"elsewhere":    {"X-Authorization", "Bearer " + good},
	} {
		a := w.ask("POST", "/v1/devices", "", `{"token":"x","platform":"web"}`, header...)
		if a.Code != 401 || a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %v", name, a)
		}
	}
	if a := w.ask("POST", "/v1/devices", "", `{"token":"x","platform":"web"}`, "Authorization", "bearer "+good); a.Code != 201 {
		t.Errorf("a scheme in lower case: %v", a)
	}
	if a := w.ask("POST", "/v1/devices?access_token="+good, "", ""); a.Code != 401 {
		t.Errorf("in the query: %v", a)
	}
}

// TestClaim: the customer is who the claim says, and a token that does not say
// it speaks for nobody.
func TestClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(d *Deps) { d.Claim = "https://shop.example/customer" })
	as := func(v any) string {
		return issuer.Token(map[string]any{"sub": "ada", "https://shop.example/customer": v})
	}
	if a := w.register(as("c-42"), "token-by-claim"); a.Code != 201 {
		t.Fatalf("%v", a)
	}
	if len(w.tokens("c-42")) != 1 || w.tokens("ada") != nil {
		t.Errorf("c-42 has %v, ada %v", w.tokens("c-42"), w.tokens("ada"))
	}
	for name, v := range map[string]any{
		"missing": nil, "a number": 42, "a list": []string{"c-42"}, "an object": map[string]any{"id": "c-42"}, "true": true, "empty": "",
		"too long": strings.Repeat("c", push.MaxCustomerID+1), "control": "c\n42",
	} {
		a := w.ask("DELETE", "/v1/devices/"+push.TokenID("token-by-claim"), as(v), "")
		why := "has no claim https://shop.example/customer that is a text"
		if id, ok := v.(string); ok && id != "" {
			why = "the claim https://shop.example/customer of the ID token is not a customer's id"
		}
		if a.Code != 403 || !strings.Contains(a.Detail, why) {
			t.Errorf("%s: %v", name, a)
		}
	}
	if len(w.tokens("c-42")) != 1 {
		t.Error("c-42 has lost the token")
	}
}

// TestTenant: user ids are unique in their tenant alone.
func TestTenant(t *testing.T) {
	t.Parallel()
	of := func(tenant any) string {
		f := map[string]any{"sign_in_provider": "password", "tenant": tenant}
		if tenant == nil {
			delete(f, "tenant")
		}
		return issuer.Token(map[string]any{"sub": "ada", "firebase": f})
	}
	for _, own := range []string{"", "riga"} {
		w := newWorld(t, func(d *Deps) { d.Tenant = own })
		for name, c := range map[string]struct {
			tenant any
			of     string
		}{"none": {nil, ""}, "riga": {"riga", "riga"}, "vilnius": {"vilnius", "vilnius"}} {
			want := 403
			if c.of == own {
				want = 201
			}
			if a := w.register(of(c.tenant), "token-of-tenant-"+name); a.Code != want {
				t.Errorf("a token of tenant %s where %q is taken: %v, want %d", name, own, a, want)
			}
		}
	}
}

// TestOrigins: a page of a listed origin may call, of any other it may not, and
// by default none.
func TestOrigins(t *testing.T) {
	t.Parallel()
	const shop, evil = "https://shop.example", "https://shop.example.evil.example"
	closed, open := newWorld(t, nil), newWorld(t, func(d *Deps) { d.Origins = []string{"https://m.shop.example", shop} })
	asking := func(w *world, from string) testcloud.Answer {
		return w.ask("OPTIONS", "/v1/devices", "", "", "Origin", from, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
	}
	for _, w := range []*world{closed, open} {
		for _, from := range []string{evil, "null", "https://SHOP.example", "http://shop.example"} {
			if a := asking(w, from); a.Code != 403 || a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s asks: %v", from, a)
			}
		}
	}
	if a := asking(closed, shop); a.Code != 403 || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("none is allowed: %v", a)
	}
	a := asking(open, shop)
	if a.Code != 204 || a.Header.Get("Access-Control-Allow-Origin") != shop || a.Header.Get("Access-Control-Allow-Methods") != "POST, DELETE" ||
		a.Header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, X-Firebase-AppCheck, X-Request-Id" || a.Header.Get("Vary") != "Origin" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the shop asks: %v", a)
	}
	for from, want := range map[string]string{shop: shop, evil: "", "": ""} {
		for _, token := range []string{"", person("ada")} {
			a := open.ask("POST", "/v1/devices", token, `{"token":"x","platform":"web"}`, "Origin", from)
			if a.Header.Get("Access-Control-Allow-Origin") != want || a.Header.Get("Vary") != "Origin" || (a.Code == 401) != (token == "") {
				t.Errorf("a call from %q: %v", from, a)
			}
		}
	}
	if a := open.ask("OPTIONS", "/v1/devices", "", "", "Origin", shop); a.Code != 401 {
		t.Errorf("OPTIONS that is no preflight: %v", a)
	}
}

// TestOutage: without Google's certificates callers are asked to come back. It
// is not parallel, for it breaks the one issuer.
func TestOutage(t *testing.T) {
	w := newWorld(t, nil)
	issuer.Break(true)
	a := w.register(person("ada"), "token-in-an-outage")
	issuer.Break(false)
	if a.Code != 503 || a.Header.Get("Retry-After") == "" || strings.Contains(a.Body, "certificate") {
		t.Errorf("%v", a)
	}
	if a := w.register(person("ada"), "token-in-an-outage"); a.Code != 201 {
		t.Errorf("after the outage: %v", a)
	}
}

// TestSettings: the ones that would let people speak for others are not taken.
func TestSettings(t *testing.T) {
	t.Parallel()
	load := func(kv ...string) (settings, error) {
		env := map[string]string{"GOOGLE_CLOUD_PROJECT": "p"}
		for i := 0; i+1 < len(kv); i += 2 {
			env[kv[i]] = kv[i+1]
		}
		return cloud.Load[settings](env)
	}
	s, err := load()
	if err != nil || s.CustomerClaim != "uid" || s.CheckRevoked || len(s.AllowedOrigins) != 0 || s.MaxTokens != push.MaxTokens || s.TokenLife != push.TokenLife {
		t.Errorf("by default %+v, %v", s, err)
	}
	s, err = load("CUSTOMER_CLAIM", "customer", "CHECK_REVOKED", "true", "ALLOWED_ORIGINS", "https://shop.example,http://localhost:3000", "AUTH_TENANT", "riga")
	if err != nil || len(s.AllowedOrigins) != 2 || !s.CheckRevoked || s.AuthTenant != "riga" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := load("ALLOWED_ORIGINS", "", "AUTH_TENANT", ""); err != nil || len(s.AllowedOrigins) != 0 {
		t.Errorf("empty: %+v, %v", s, err)
	}
	if s, err := load(); err != nil || *s.customerLimits() != push.DefaultLimits {
		t.Errorf("the limits are %+v by default (%v), want %+v", s.customerLimits(), err, push.DefaultLimits)
	}
	want := push.Limits{PerHour: 7, PerDay: 70, MovesPerHour: 1, MovesPerDay: 2}
	if s, err := load("REGISTRATIONS_PER_HOUR", "7", "REGISTRATIONS_PER_DAY", "70", "MOVES_PER_HOUR", "1", "MOVES_PER_DAY", "2"); err != nil || *s.customerLimits() != want {
		t.Errorf("the limits are %+v (%v), want %+v", s.customerLimits(), err, want)
	}
	for _, bad := range []struct{ name, value, said string }{
		{"REGISTRATIONS_PER_HOUR", "0", "REGISTRATIONS_PER_HOUR"}, {"REGISTRATIONS_PER_DAY", "1000001", "REGISTRATIONS_PER_DAY"},
		{"MOVES_PER_HOUR", "0", "MOVES_PER_HOUR"}, {"MOVES_PER_DAY", "-1", "MOVES_PER_DAY"},
		{"CUSTOMER_CLAIM", "email", "CUSTOMER_CLAIM"}, {"CUSTOMER_CLAIM", "name", "CUSTOMER_CLAIM"}, {"CHECK_REVOKED", "perhaps", "CheckRevoked"},
		{"ALLOWED_ORIGINS", "*", "ALLOWED_ORIGINS"}, {"ALLOWED_ORIGINS", "https://shop.example/", "ALLOWED_ORIGINS"},
		{"ALLOWED_ORIGINS", "shop.example", "ALLOWED_ORIGINS"}, {"ALLOWED_ORIGINS", "http://shop.example", "ALLOWED_ORIGINS"},
		{"ALLOWED_ORIGINS", "https://*.shop.example", "ALLOWED_ORIGINS"}, {"ALLOWED_ORIGINS", "https://a.example, https://b.example", "ALLOWED_ORIGINS"},
		{"ALLOWED_ORIGINS", "ftp://localhost", "ALLOWED_ORIGINS"}, {"APP_CHECK", "on", "APP_CHECK"}, {"MAX_TOKENS", "-1", "MAX_TOKENS"}, {"TOKEN_LIFE", "-5h", "TOKEN_LIFE"},
	} {
		if s, err := load(bad.name, bad.value); err == nil || !strings.Contains(err.Error(), bad.said) {
			t.Errorf("%s=%s was taken: %+v, %v", bad.name, bad.value, s, err)
		}
	}
}

// TestABodyWithoutATokenHoldsNoCall: whoever shows no token is refused before the
// body, and need not send it.
func TestABodyWithoutATokenHoldsNoCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, head := range []string{
		"POST /v1/devices HTTP/1.1\r\n",
		"POST /v1/devices HTTP/1.1\r\nAuthorization: Bearer nonsense\r\n",
		"OPTIONS /v1/devices HTTP/1.1\r\nAccess-Control-Request-Method: POST\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%sHost: a\r\nContent-Length: 3000\r\n\r\n{", head)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%q was not answered: %v", head, err)
			continue
		}
		if res.StatusCode != 401 && res.StatusCode != 403 || !res.Close {
			t.Errorf("%q was answered %d, and the connection ends: %v", head, res.StatusCode, res.Close)
		}
	}
}
