package auth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// tokenLife is how long Firebase's ID tokens are good.
const tokenLife = time.Hour

// Header is that of the server's tokens.
func (s *Server) Header() map[string]any {
	return map[string]any{"alg": "RS256", "kid": s.keyID, "typ": "JWT"}
}

// Claims are those of a token issued now to a user id.
func (s *Server) Claims(uid string) map[string]any {
	now := s.now()
	return map[string]any{
		"iss": "https://securetoken.google.com/" + s.project, "aud": s.project,
		"sub": uid, "user_id": uid, "auth_time": now.Unix(), "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
		"firebase": map[string]any{"identities": map[string]any{}, "sign_in_provider": "custom"},
	}
}

// Token issues an ID token to the user id in claims["sub"]. The other claims
// are added, or take the place of what is there by itself; one that is nil is
// left out.
func (s *Server) Token(claims map[string]any) string {
	uid, _ := claims["sub"].(string)
	all := s.Claims(uid)
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return Sign(s.Header(), all, s.key)
}

// Sign writes a JSON Web Token signed with RS256, whatever its header says;
// without a key its signature is empty. Header and claims that are no JSON are
// a fault of the caller, and a panic.
func Sign(header, claims map[string]any, key *rsa.PrivateKey) string {
	text := part(header) + "." + part(claims)
	if key == nil {
		return text + "."
	}
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(fmt.Sprintf("signing a token: %v", err))
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func part(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding a part of a token: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
