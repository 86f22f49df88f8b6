package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	google "carillon.example/emulators/auth"
	"carillon.example/shared/auth"
)

// TestVerifyApp checks which App Check tokens are valid.
func TestVerifyApp(t *testing.T) {
	t.Parallel()
	const invalid = "it is not a valid App Check token of this project"
	v, forger, now := auth.NewAppVerifier(project), key(t), time.Now()
	claim := func(k string, val any) string { return issuer.AppCheckToken("1:2:android:3", map[string]any{k: val}) }
	claims := map[string]any{"iss": "https://firebaseappcheck.googleapis.com/1", "aud": []string{"projects/" + project}, "sub": "a", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for name, c := range map[string]struct{ token, why string }{
		"good":                     {claim("x", 1), ""},
		"none":                     {"", "it is missing"},
		"no token":                 {"nonsense", invalid},
		"too long":                 {strings.Repeat("a", auth.MaxToken+1), "it is longer than 8192 bytes"},
		"expired":                  {claim("exp", now.Add(-time.Minute).Unix()), invalid},
		"of another project":       {claim("aud", []string{"projects/other"}), invalid},
		"an audience as a text":    {claim("aud", "projects/"+project), invalid},
		"of another issuer":        {claim("iss", "https://evil.example/"), invalid},
		"without a subject":        {claim("sub", nil), invalid},
		"without an end":           {claim("exp", nil), invalid},
		"signed by another":        {google.Sign(issuer.Header(), claims, forger), invalid},
		"unsigned":                 {google.Sign(map[string]any{"alg": "none", "typ": "JWT"}, claims, nil), invalid},
		"an ID token in its place": {issuer.Token(map[string]any{"sub": "ada"}), invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := v.VerifyApp(t.Context(), c.token)
			if c.why == "" {
				if err != nil {
					t.Errorf("the token is refused: %v", err)
				}
				if app != "1:2:android:3" {
					t.Errorf("the app is %q, want 1:2:android:3", app)
				}
				return
			}
			r, ok := errors.AsType[*auth.RefusedApp](err)
			if !ok {
				t.Fatalf("the app is %q, and the error %v, want *auth.RefusedApp", app, err)
			}
			if !strings.HasPrefix(r.Why, c.why) {
				t.Errorf("refused because %q, want %q", r.Why, c.why)
			}
		})
	}
}
