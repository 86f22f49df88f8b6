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
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/auth"
	"carillon.example/shared/cloud"
	"carillon.example/shared/push"
)

// TestIDTokens: who is not let in, through the Admin SDK's own verifier, and in
// which words.
func TestIDTokens(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
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
		t.Run(name, func(t *testing.T) {
			for _, call := range [][2]string{{"POST", "/v1/devices"}, {"DELETE", "/v1/devices/" + push.TokenID("x")}, {"GET", "/openapi.json"}, {"PUT", "/nowhere"}} {
				a := w.ask(call[0], call[1], token, "")
				testcloud.CheckCode(t, a, 401)
				if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), `Bearer error="invalid_token", error_description="`) {
					t.Errorf("%s: header WWW-Authenticate is %q, want it to begin with %q", name, a.Header.Get("WWW-Authenticate"), `Bearer error="invalid_token", error_description="`)
				}
			}
		})
	}
	if got := w.tokens("ada"); got != nil {
		t.Errorf("ada has %v", got)
	}
}

// TestNoIDToken: a header that holds none is answered before anything is read.
func TestNoIDToken(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
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
		t.Run(name, func(t *testing.T) {
			a := w.ask("POST", "/v1/devices", "", `{"token":"x","platform":"web"}`, header...)
			testcloud.CheckCode(t, a, 401)
			check.Equal(t, a.Header.Get("WWW-Authenticate"), "Bearer", "%s: header WWW-Authenticate", name)
		})
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
	w := newHarness(t, func(d *Deps) { d.Claim = "https://shop.example/customer" })
	as := func(v any) string {
		return issuer.Token(map[string]any{"sub": "ada", "https://shop.example/customer": v})
	}
	if a := w.register(as("c-42"), "token-by-claim"); a.Code != 201 {
		t.Fatalf("%s was answered %v, want 201", a.Request, a)
	}
	check.Equal(t, len(w.tokens("c-42")), 1, "number of tokens of c-42")
	if w.tokens("ada") != nil {
		t.Errorf("tokens of ada are %v, want none", w.tokens("ada"))
	}
	for name, v := range map[string]any{
		"missing": nil, "a number": 42, "a list": []string{"c-42"}, "an object": map[string]any{"id": "c-42"}, "true": true, "empty": "",
		"too long": strings.Repeat("c", push.MaxCustomerID+1), "control": "c\n42",
	} {
		t.Run(name, func(t *testing.T) {
			a := w.ask("DELETE", "/v1/devices/"+push.TokenID("token-by-claim"), as(v), "")
			why := "has no claim https://shop.example/customer that is a text"
			if id, ok := v.(string); ok && id != "" {
				why = "the claim https://shop.example/customer of the ID token is not a customer's id"
			}
			testcloud.CheckCode(t, a, 403)
			check.Contains(t, a.Detail, why, "%s: Detail", name)
		})
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
		w := newHarness(t, func(d *Deps) { d.Tenant = own })
		for name, c := range map[string]struct {
			tenant any
			of     string
		}{"none": {nil, ""}, "riga": {"riga", "riga"}, "vilnius": {"vilnius", "vilnius"}} {
			t.Run(name, func(t *testing.T) {
				want := 403
				if c.of == own {
					want = 201
				}
				if a := w.register(of(c.tenant), "token-of-tenant-"+name); a.Code != want {
					t.Errorf("a token of tenant %s where %q is taken: %v, want %d", name, own, a, want)
				}
			})
		}
	}
}

// TestOrigins: a page of a listed origin may call, of any other it may not, and
// by default none.
func TestOrigins(t *testing.T) {
	t.Parallel()
	const shop, evil = "https://shop.example", "https://shop.example.evil.example"
	closed, open := newHarness(t, nil), newHarness(t, func(d *Deps) { d.Origins = []string{"https://m.shop.example", shop} })
	asking := func(w *harness, from string) testcloud.Answer {
		return w.ask("OPTIONS", "/v1/devices", "", "", "Origin", from, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
	}
	for _, w := range []*harness{closed, open} {
		for _, from := range []string{evil, "null", "https://SHOP.example", "http://shop.example"} {
			a := asking(w, from)
			testcloud.CheckCode(t, a, 403)
			check.Equal(t, a.Header.Get("Access-Control-Allow-Origin"), "", "%s asks: header Access-Control-Allow-Origin", from)
		}
	}
	a := asking(closed, shop)
	testcloud.CheckCode(t, a, 403)
	check.Equal(t, a.Header.Get("Access-Control-Allow-Origin"), "", "none is allowed: header Access-Control-Allow-Origin")
	a = asking(open, shop)
	testcloud.CheckCode(t, a, 204)
	check.Equal(t, a.Header.Get("Access-Control-Allow-Origin"), shop, "the shop asks: header Access-Control-Allow-Origin")
	check.Equal(t, a.Header.Get("Access-Control-Allow-Methods"), "POST, DELETE", "the shop asks: header Access-Control-Allow-Methods")
	check.Equal(t, a.Header.Get("Access-Control-Allow-Headers"), "Authorization, Content-Type, X-Firebase-AppCheck, X-Request-Id", "the shop asks: header Access-Control-Allow-Headers")
	check.Equal(t, a.Header.Get("Vary"), "Origin", "the shop asks: header Vary")
	check.Equal(t, a.Header.Get("Access-Control-Allow-Credentials"), "", "the shop asks: header Access-Control-Allow-Credentials")
	for from, want := range map[string]string{shop: shop, evil: "", "": ""} {
		t.Run(from, func(t *testing.T) {
			for _, token := range []string{"", person("ada")} {
				a := open.ask("POST", "/v1/devices", token, `{"token":"x","platform":"web"}`, "Origin", from)
				check.Equal(t, a.Header.Get("Access-Control-Allow-Origin"), want, "a call from %q: header Access-Control-Allow-Origin", from)
				check.Equal(t, a.Header.Get("Vary"), "Origin", "a call from %q: header Vary", from)
				check.Equal(t, a.Code == 401, token == "", "a call from %q: that it is unauthorized", from)
			}
		})
	}
	if a := open.ask("OPTIONS", "/v1/devices", "", "", "Origin", shop); a.Code != 401 {
		t.Errorf("OPTIONS that is no preflight: %v", a)
	}
}

// TestOutage: without Google's certificates callers are asked to come back. It
// is not parallel, for it breaks the one issuer.
func TestOutage(t *testing.T) {
	w := newHarness(t, nil)
	issuer.Break(true)
	a := w.register(person("ada"), "token-in-an-outage")
	issuer.Break(false)
	testcloud.CheckCode(t, a, 503)
	if a.Header.Get("Retry-After") == "" {
		t.Errorf("%s: header Retry-After is empty, want a value", a.Request)
	}
	check.NotContains(t, a.Body, "certificate", "%s: body", a.Request)
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
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, s.CustomerClaim, "uid", "CustomerClaim")
	check.Equal(t, s.CheckRevoked, false, "CheckRevoked")
	check.Equal(t, len(s.AllowedOrigins), 0, "number of AllowedOrigins")
	check.Equal(t, s.MaxTokens, push.MaxTokens, "MaxTokens")
	check.Equal(t, s.TokenLife, push.TokenLife, "TokenLife")
	s, err = load("CUSTOMER_CLAIM", "customer", "CHECK_REVOKED", "true", "ALLOWED_ORIGINS", "https://shop.example,http://localhost:3000", "AUTH_TENANT", "riga")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, len(s.AllowedOrigins), 2, "number of AllowedOrigins")
	check.Equal(t, s.CheckRevoked, true, "CheckRevoked")
	check.Equal(t, s.AuthTenant, "riga", "AuthTenant")
	s, err = load("ALLOWED_ORIGINS", "", "AUTH_TENANT", "")
	if err != nil {
		t.Fatalf("empty: %v", err)
	}
	check.Equal(t, len(s.AllowedOrigins), 0, "empty: number of AllowedOrigins")
	s, err = load()
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, *s.customerLimits(), push.DefaultLimits, "limits")
	want := push.Limits{PerHour: 7, PerDay: 70, MovesPerHour: 1, MovesPerDay: 2}
	s, err = load("REGISTRATIONS_PER_HOUR", "7", "REGISTRATIONS_PER_DAY", "70", "MOVES_PER_HOUR", "1", "MOVES_PER_DAY", "2")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, *s.customerLimits(), want, "limits")
	for _, bad := range []struct{ name, value, said string }{
		{"REGISTRATIONS_PER_HOUR", "0", "REGISTRATIONS_PER_HOUR"}, {"REGISTRATIONS_PER_DAY", "1000001", "REGISTRATIONS_PER_DAY"},
		{"MOVES_PER_HOUR", "0", "MOVES_PER_HOUR"}, {"MOVES_PER_DAY", "-1", "MOVES_PER_DAY"},
		{"CUSTOMER_CLAIM", "email", "CUSTOMER_CLAIM"}, {"CUSTOMER_CLAIM", "name", "CUSTOMER_CLAIM"}, {"CHECK_REVOKED", "perhaps", "CheckRevoked"},
		{"ALLOWED_ORIGINS", "*", "ALLOWED_ORIGINS"}, {"ALLOWED_ORIGINS", "https://shop.example/", "ALLOWED_ORIGINS"},
		{"ALLOWED_ORIGINS", "shop.example", "ALLOWED_ORIGINS"}, {"ALLOWED_ORIGINS", "http://shop.example", "ALLOWED_ORIGINS"},
		{"ALLOWED_ORIGINS", "https://*.shop.example", "ALLOWED_ORIGINS"}, {"ALLOWED_ORIGINS", "https://a.example, https://b.example", "ALLOWED_ORIGINS"},
		{"ALLOWED_ORIGINS", "ftp://localhost", "ALLOWED_ORIGINS"}, {"APP_CHECK", "on", "APP_CHECK"}, {"MAX_TOKENS", "-1", "MAX_TOKENS"}, {"TOKEN_LIFE", "-5h", "TOKEN_LIFE"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			_, err := load(bad.name, bad.value)
			if err == nil {
				t.Fatalf("%s=%s: the error is nil, want one that says why", bad.name, bad.value)
			}
			check.Contains(t, err.Error(), bad.said, "%s=%s: error", bad.name, bad.value)
		})
	}
}

// TestABodyWithoutATokenHoldsNoCall: whoever shows no token is refused before the
// body, and need not send it.
func TestABodyWithoutATokenHoldsNoCall(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	for _, head := range []string{
		"POST /v1/devices HTTP/1.1\r\n",
		"POST /v1/devices HTTP/1.1\r\nAuthorization: Bearer nonsense\r\n",
		"OPTIONS /v1/devices HTTP/1.1\r\nAccess-Control-Request-Method: POST\r\n",
	} {
		t.Run(head, func(t *testing.T) {
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
				return
			}
			if res.StatusCode != 401 && res.StatusCode != 403 {
				t.Errorf("%q was answered %d, and the connection ends: %v", head, res.StatusCode, res.Close)
			}
			check.Equal(t, res.Close, true, "%q: Close", head)
		})
	}
}
