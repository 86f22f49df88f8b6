package auth

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"
)

// A session is a sign-in: who signed in, and how. A refresh token is a session as JSON.
type session struct {
	Project  string         `json:"project"`
	Tenant   string         `json:"tenant,omitempty"`
	LocalID  string         `json:"localId"`
	Provider string         `json:"provider"`
	Claims   map[string]any `json:"claims,omitempty"` // those of a custom token
}

// tokens are the tokens of a session, in the form of the answers that sign somebody in.
type tokens struct {
	IDToken      string `json:"idToken,omitempty"`
	RefreshToken string `json:"refreshToken,omitempty"`
	ExpiresIn    string `json:"expiresIn,omitempty"` // seconds
}

// issueTokens returns tokens for a sign-in to an account. The ID token is not signed, as
// those of Google's emulator: some Admin SDKs accept no signed one from an emulator.
func (s *Server) issueTokens(m *realm, a *account, by string, claims map[string]any) tokens {
	now := s.now()
	a.LastRefreshAt = now.UTC().Format("2006-01-02T15:04:05.000Z")
	refresh, err := json.Marshal(session{Project: m.project, Tenant: m.tenant, LocalID: a.LocalID, Provider: by, Claims: claims})
	if err != nil {
		panic("encoding a refresh token: " + err.Error()) // its claims came from JSON
	}
	return tokens{
		IDToken:      Sign(map[string]any{"alg": "none", "typ": "JWT"}, m.idTokenClaims(a, by, claims, now), nil),
		RefreshToken: base64.URLEncoding.EncodeToString(refresh),
		ExpiresIn:    strconv.Itoa(int(tokenLife / time.Second)),
	}
}

// idTokenClaims returns the claims of an ID token for a sign-in to an account.
func (m *realm) idTokenClaims(a *account, by string, custom map[string]any, now time.Time) map[string]any {
	c := map[string]any{}
	setClaim(c, "name", a.DisplayName)
	setClaim(c, "picture", a.PhotoURL)
	if a.CustomAttributes != "" {
		_ = json.Unmarshal([]byte(a.CustomAttributes), &c) // it was checked when it was set
	}
	maps.Copy(c, custom)

	setClaim(c, "email", a.Email)
	if a.EmailVerified != nil {
		c["email_verified"] = *a.EmailVerified
	}
	setClaim(c, "phone_number", a.PhoneNumber)
	if by == byAnonymous {
		c["provider_id"] = byAnonymous
	}

	authTime := now.Unix()
	if at, err := strconv.ParseInt(a.LastLoginAt, 10, 64); err == nil {
		authTime = at / 1000
	}
	maps.Copy(c, map[string]any{
		"iss": "https://securetoken.google.com/" + m.project, "aud": m.project, "sub": a.LocalID, "user_id": a.LocalID,
		"auth_time": authTime, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "firebase": m.firebaseClaim(a, by),
	})
	return c
}

// firebaseClaim returns the claim "firebase": how the customer signed in, and as whom.
func (m *realm) firebaseClaim(a *account, by string) map[string]any {
	identities := map[string]any{}
	if a.Email != "" {
		identities["email"] = []string{a.Email}
	}
	if a.PhoneNumber != "" {
		identities[byPhone] = []string{a.PhoneNumber}
	}
	f := map[string]any{"identities": identities, "sign_in_provider": by}
	setClaim(f, "tenant", m.tenant)
	return f
}

// setClaim sets a claim unless its value is empty.
func setClaim(claims map[string]any, name, value string) {
	if value != "" {
		claims[name] = value
	}
}

// parseRefreshToken returns the session of a refresh token.
func parseRefreshToken(token string) (session, error) {
	var in session
	b, err := base64.URLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	if err != nil || in.LocalID == "" {
		return session{}, badRequest("INVALID_REFRESH_TOKEN")
	}
	return in, nil
}

// idTokenParts are the claims of an ID token that operations read.
type idTokenParts struct {
	UserID   string `json:"user_id"`
	IAT      int64  `json:"iat"`
	Firebase struct {
		SignInProvider string `json:"sign_in_provider"`
		Tenant         string `json:"tenant"`
	} `json:"firebase"`
}

// parseIDToken decodes an ID token. It does not check a signature.
func parseIDToken(token string) (idTokenParts, error) {
	var in idTokenParts
	if !decodeJWT(token, &in) {
		return in, badRequest("INVALID_ID_TOKEN")
	}
	return in, nil
}

// decodeJWT decodes the claims of a JSON Web Token, and reports whether it is one.
func decodeJWT(token string, claims any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	var header struct{ Alg string }
	for i, into := range []any{&header, claims} {
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[i], "="))
		if err != nil || json.Unmarshal(b, into) != nil {
			return false
		}
	}
	return header.Alg != ""
}

// signedIn returns the account of an ID token, and how it signed in.
func (m *realm) signedIn(token string) (*account, string, error) {
	t, err := parseIDToken(token)
	if err != nil {
		return nil, "", err
	}
	a := m.accounts[t.UserID]
	if a == nil {
		return nil, "", badRequest("USER_NOT_FOUND")
	}
	since, _ := strconv.ParseInt(a.ValidSince, 10, 64) // 0 if it is empty
	return a, t.Firebase.SignInProvider, firstError(
		refuse(t.IAT < since, "TOKEN_EXPIRED"),
		refuse(a.isDisabled(), "USER_DISABLED"),
	)
}
