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

// tokenLife is the lifetime of Firebase's ID tokens.
const tokenLife = time.Hour

// Header returns the header of the tokens that this server issues.
func (s *Server) Header() map[string]any {
	return map[string]any{"alg": "RS256", "kid": s.keyID, "typ": "JWT"}
}

// Claims returns the claims of a token that is issued now for a user id of the project. The
// user id has an account from then on, unless Set says that it has none.
func (s *Server) Claims(uid string) map[string]any { return s.claimsIn("", uid) }

// claimsIn is Claims for a tenant; "" is the project itself.
func (s *Server) claimsIn(tenant, uid string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := realmKey{s.project, tenant}
	if uid != "" && !s.openRealm(realmKey{project: s.project}).set[uid] && s.openRealm(key).accounts[uid] == nil {
		s.ensureAccount(key, uid)
		s.changes++
	}

	now := s.now()
	return map[string]any{
		"iss": "https://securetoken.google.com/" + s.project, "aud": s.project,
		"sub": uid, "user_id": uid, "auth_time": now.Unix(), "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
		"firebase": map[string]any{"identities": map[string]any{}, "sign_in_provider": "custom"},
	}
}

// Token issues an ID token for the user id in claims["sub"]. The other claims
// are added to the default claims or replace them. A claim that is nil is left
// out. The user id has an account from then on, unless Set says that it has none.
func (s *Server) Token(claims map[string]any) string {
	uid, _ := claims["sub"].(string)
	firebase, _ := claims["firebase"].(map[string]any)
	tenant, _ := firebase["tenant"].(string)
	all := s.claimsIn(tenant, uid)
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return Sign(s.Header(), all, s.key)
}

// Sign returns a JSON Web Token that is signed with RS256, whatever alg the
// header names. Without a key the signature is empty. Sign panics when header
// or claims cannot be encoded as JSON, because that is a mistake of the caller.
func Sign(header, claims map[string]any, key *rsa.PrivateKey) string {
	text := encodePart(header) + "." + encodePart(claims)
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

func encodePart(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding a part of a token: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// refreshRequest are the fields of the request for new tokens.
type refreshRequest struct {
	GrantType    string `json:"grantType"`
	RefreshToken string `json:"refreshToken"`
}

// refresh returns new tokens for a refresh token.
func refresh(s *Server, c call, in refreshRequest) (any, error) {
	if err := firstError(
		refuse(in.GrantType == "", "MISSING_GRANT_TYPE"),
		refuse(in.GrantType != "refresh_token", "INVALID_GRANT_TYPE"),
		refuse(in.RefreshToken == "", "MISSING_REFRESH_TOKEN"),
	); err != nil {
		return nil, err
	}
	of, err := parseRefreshToken(in.RefreshToken)
	if err != nil {
		return nil, err
	}
	a := c.accounts[of.LocalID]
	if a == nil || of.Project != c.project {
		return nil, badRequest("INVALID_REFRESH_TOKEN")
	}
	if a.isDisabled() {
		return nil, badRequest("USER_DISABLED")
	}

	t := s.issueTokens(c.realm, a, of.Provider, of.Claims)
	return map[string]any{
		"id_token": t.IDToken, "access_token": t.IDToken, "refresh_token": t.RefreshToken, "expires_in": t.ExpiresIn,
		"token_type": "Bearer", "user_id": a.LocalID, "project_id": projectNumber,
	}, nil
}
