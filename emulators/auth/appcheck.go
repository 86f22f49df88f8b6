package auth

import (
	"encoding/base64"
	"maps"
	"math/big"
	"net/http"
)

// appCheckKeys is the path of the App Check keys in the Admin SDKs.
const appCheckKeys = "/v1beta/jwks"

// serveKeys serves the signing key as a JSON Web Key Set.
func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) {
	encode := base64.RawURLEncoding.EncodeToString
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]any{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": s.keyID,
		"n": encode(s.key.N.Bytes()), "e": encode(big.NewInt(int64(s.key.E)).Bytes()),
	}}})
}

// AppCheckToken issues an App Check token for an app. claims are added to the
// default claims or replace them. A claim that is nil is left out.
func (s *Server) AppCheckToken(app string, claims map[string]any) string {
	now := s.now()
	all := map[string]any{
		"iss": "https://firebaseappcheck.googleapis.com/1234567890", "aud": []string{"projects/1234567890", "projects/" + s.project},
		"sub": app, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return Sign(s.Header(), all, s.key)
}
