package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/option"

	google "carillon.example/emulators/auth"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/auth"
	"carillon.example/shared/push"
)

const project = "shop-push"

var issuer = testcloud.Issuer(project)

func none(string) string { return "" }

func verifier(t *testing.T, o auth.Options) *auth.Verifier {
	t.Helper()
	if o.Getenv == nil {
		o.Getenv = none
	}
	v, err := auth.New(t.Context(), project, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func key(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// with returns m with another value for one field. nil removes the field.
func with(m map[string]any, k string, v any) map[string]any {
	m = maps.Clone(m)
	if m[k] = v; v == nil {
		delete(m, k)
	}
	return m
}

// refusedFor checks that a token was refused for that reason.
func refusedFor(t *testing.T, err error, why string) {
	t.Helper()
	r, ok := errors.AsType[*auth.Refused](err)
	if !ok {
		t.Fatalf("the error is %v, want *auth.Refused", err)
	}
	if r.Why != why {
		t.Errorf("refused because %q, want %q", r.Why, why)
	}
}

// TestVerify checks which tokens are valid, and why every other one is refused.
func TestVerify(t *testing.T) {
	t.Parallel()
	const invalid, expired = "it is not a valid ID token of this project", "it has expired"
	v, forger, now := verifier(t, auth.Options{}), key(t), time.Now()
	claim := func(k string, val any) string { return issuer.Token(with(map[string]any{"sub": "ada"}, k, val)) }
	header := func(k string, val any, signer *rsa.PrivateKey) string {
		return google.Sign(with(issuer.Header(), k, val), issuer.Claims("ada"), signer)
	}
	good := issuer.Token(map[string]any{"sub": "ada", "customer": "c-1"})
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct{ token, why string }{
		"good":                            {good, ""},
		"an hour and four minutes old":    {claim("exp", now.Add(-4*time.Minute).Unix()), ""}, // the SDK allows for five minutes between clocks
		"expired":                         {claim("exp", now.Add(-6*time.Minute).Unix()), expired},
		"never expires":                   {issuer.Token(map[string]any{"sub": "ada", "exp": nil}), expired},
		"issued in the future":            {claim("iat", now.Add(6*time.Minute).Unix()), invalid},
		"wrong audience":                  {claim("aud", "other-shop"), invalid},
		"several audiences":               {claim("aud", []string{project, "other-shop"}), invalid},
		"wrong issuer":                    {claim("iss", "https://securetoken.google.com/other-shop"), invalid},
		"issuer of session cookies":       {claim("iss", "https://session.firebase.google.com/"+project), invalid},
		"empty uid":                       {claim("sub", ""), invalid},
		"no uid":                          {issuer.Token(map[string]any{"sub": nil}), invalid},
		"uid too long":                    {claim("sub", strings.Repeat("x", 129)), invalid},
		"wrong key":                       {header("alg", "RS256", forger), invalid},
		"unknown key id":                  {header("kid", "another", forger), invalid},
		"no key id":                       {header("kid", nil, forger), invalid},
		"alg none":                        {header("alg", "none", nil), invalid},
		"alg none, signed":                {header("alg", "none", forger), invalid},
		"alg HS256":                       {header("alg", "HS256", forger), invalid},
		"an emulator's":                   {google.Sign(map[string]any{"alg": "none", "typ": "JWT"}, issuer.Claims("ada"), nil), invalid},
		"without signature":               {parts[0] + "." + parts[1] + ".", invalid},
		"claims of another, signed so":    {parts[0] + "." + strings.Split(claim("sub", "eve"), ".")[1] + "." + parts[2], invalid},
		"empty":                           {"", invalid},
		"no token":                        {"good", invalid},
		"four parts":                      {good + ".x", invalid},
		"no base64":                       {"a.b.c", invalid},
		"too long":                        {strings.Repeat("x", auth.MaxToken+1), "it is longer than 8192 bytes"},
		"a custom token, not exchanged":   {google.Sign(map[string]any{"alg": "RS256"}, issuer.Claims("ada"), forger), invalid},
		"a uid claim beside another sub":  {issuer.Token(map[string]any{"sub": "ada", "uid": "eve", "customer": "c-1"}), ""},
		"of an account that was disabled": {disabled(), ""}, // only CheckRevoked finds this
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := v.Verify(t.Context(), c.token)
			if c.why == "" {
				if err != nil {
					t.Fatalf("the token is refused: %v", err)
				}
				if p.UID != "ada" && p.UID != "gone" {
					t.Errorf("the user is %q, want ada or gone", p.UID)
				}
				if p.Claims["uid"] != nil {
					t.Errorf("the claims contain uid: %v", p.Claims)
				}
				return
			}

			refusedFor(t, err, c.why)
			if p.UID != "" {
				t.Errorf("a refused token has the user %q, want none", p.UID)
			}
		})
	}
}

// disabled returns a token of an account that is disabled.
func disabled() string {
	issuer.Set("gone", google.Account{Disabled: true})
	return issuer.Token(map[string]any{"sub": "gone"})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	p, err := verifier(t, auth.Options{}).Verify(t.Context(), issuer.Token(map[string]any{
		"sub": "ada", "customer": "c-1", "firebase": map[string]any{"tenant": "riga", "sign_in_provider": "password"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	for field, c := range map[string]struct{ got, want any }{
		"user": {p.UID, "ada"}, "tenant": {p.Tenant, "riga"}, "claim customer": {p.Claims["customer"], "c-1"},
	} {
		t.Run(field, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("the %s is %v, want %v", field, c.got, c.want)
			}
		})
	}
}

// TestCertificatesAreKept checks that the certificates are fetched only once: not by every
// call, and not for tokens with unknown key ids. The test is not parallel, because it counts
// the requests to the issuer of all tests.
func TestCertificatesAreKept(t *testing.T) {
	v, forger, before := verifier(t, auth.Options{}), key(t), issuer.Asked()
	for range 20 {
		if _, err := v.Verify(t.Context(), issuer.Token(map[string]any{"sub": "ada"})); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), google.Sign(with(issuer.Header(), "kid", rand.Text()), issuer.Claims("ada"), forger)); err == nil {
			t.Fatal("a forged token is accepted")
		}
	}
	if n := issuer.Asked() - before; n != 1 {
		t.Errorf("the certificates were fetched %d times, want once", n)
	}
}

// TestOutage checks that without certificates no token is accepted, and that the error does
// not say that the token is invalid. The test is not parallel, because it breaks the issuer
// of all tests.
func TestOutage(t *testing.T) {
	v := verifier(t, auth.Options{})
	good := issuer.Token(map[string]any{"sub": "ada"})
	issuer.Break(true)
	defer issuer.Break(false)

	_, err := v.Verify(t.Context(), good)
	if _, ok := errors.AsType[*push.Unavailable](err); !ok {
		t.Errorf("the error is %v, want *push.Unavailable", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(ctx, good); err == nil {
		t.Error("a token is accepted without certificates")
	}

	issuer.Break(false)
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// TestRevoked checks that with CheckRevoked a sign-out everywhere counts at once.
func TestRevoked(t *testing.T) {
	t.Parallel()
	v := verifier(t, auth.Options{CheckRevoked: true, Client: []option.ClientOption{
		option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "x"})),
	}})
	later := time.Now().Add(time.Minute)
	for uid, c := range map[string]struct {
		google.Account
		why string
	}{
		"r-good":     {google.Account{ValidSince: time.Now().Add(-time.Hour)}, ""},
		"r-disabled": {google.Account{Disabled: true}, "its account is disabled"},
		"r-deleted":  {google.Account{Deleted: true}, "its account is gone"},
		"r-revoked":  {google.Account{ValidSince: later}, "it has been revoked"},
	} {
		issuer.Set(uid, c.Account)
		p, err := v.Verify(t.Context(), issuer.Token(map[string]any{"sub": uid}))
		if c.why == "" {
			if err != nil {
				t.Errorf("%s is refused: %v", uid, err)
			}
			if p.UID != uid {
				t.Errorf("%s: the user is %q", uid, p.UID)
			}
			continue
		}
		t.Run(uid, func(t *testing.T) { refusedFor(t, err, c.why) })
	}
}

// TestRevokedOfTenant checks that an account of a tenant is looked up in its tenant. The
// project does not have it.
func TestRevokedOfTenant(t *testing.T) {
	t.Parallel()
	v := verifier(t, auth.Options{CheckRevoked: true, Client: []option.ClientOption{
		option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "x"})),
	}})
	for uid, c := range map[string]struct {
		google.Account
		why string
	}{
		"t-good":     {google.Account{Tenant: "riga"}, ""},
		"t-disabled": {google.Account{Tenant: "riga", Disabled: true}, "its account is disabled"},
		"t-other":    {google.Account{Tenant: "vilnius"}, "its account is gone"},
		"t-none":     {google.Account{}, "its account is gone"},
	} {
		issuer.Set(uid, c.Account)
		p, err := v.Verify(t.Context(), issuer.Token(map[string]any{"sub": uid, "firebase": map[string]any{"tenant": "riga"}}))
		if c.why == "" {
			if err != nil {
				t.Errorf("%s is refused: %v", uid, err)
			}
			if p.UID != uid {
				t.Errorf("%s: the user is %q", uid, p.UID)
			}
			if p.Tenant != "riga" {
				t.Errorf("%s: the tenant is %q, want riga", uid, p.Tenant)
			}
			continue
		}
		t.Run(uid, func(t *testing.T) { refusedFor(t, err, c.why) })
	}
}

// TestEmulator checks that unsigned tokens are accepted if the environment names an emulator,
// and that such a process does not start on Cloud Run or for a real project. The test is not
// parallel, because it sets the environment of the process, which the SDK reads.
func TestEmulator(t *testing.T) {
	laptop, err := google.Start("127.0.0.1:0", google.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(laptop.Close)
	was := http.DefaultTransport
	http.DefaultTransport = &http.Transport{} // connects to the address of the variable
	defer func() { http.DefaultTransport = was }()

	t.Setenv("FIREBASE_AUTH_EMULATOR_HOST", laptop.Addr())
	if _, err := auth.New(t.Context(), project, auth.Options{Getenv: os.Getenv}); err == nil {
		t.Error("it starts with an emulator for a project that is not a demo")
	}

	cloudRun := func(k string) string {
		if k == "K_SERVICE" {
			return "devices"
		}
		return os.Getenv(k)
	}
	if _, err := auth.New(t.Context(), "demo-carillon", auth.Options{Getenv: cloudRun}); err == nil {
		t.Error("it starts with an emulator on Cloud Run")
	}

	v, err := auth.New(t.Context(), "demo-carillon", auth.Options{Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	unsigned := google.Sign(map[string]any{"alg": "none", "typ": "JWT"}, laptop.Claims("ada"), nil)
	p, err := v.Verify(t.Context(), unsigned)
	if err != nil {
		t.Errorf("an unsigned token is refused: %v", err)
	}
	if p.UID != "ada" {
		t.Errorf("the user is %q, want ada", p.UID)
	}

	laptop.Set("ada", google.Account{Disabled: true})
	if _, err := v.Verify(t.Context(), unsigned); err == nil {
		t.Error("the token of a disabled account of the emulator is accepted")
	}
}
