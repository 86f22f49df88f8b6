package auth

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// customTokenAudience is the audience of custom tokens, which servers sign for their users.
const customTokenAudience = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"

// minPassword is the length of the shortest password, in characters.
const minPassword = 6

// signUpRequest are the fields of accounts:signUp and of projects.accounts.
type signUpRequest struct {
	LocalID       string `json:"localId"`
	Email         string `json:"email"`
	Password      string `json:"password"`
	DisplayName   string `json:"displayName"`
	PhotoURL      string `json:"photoUrl"`
	PhoneNumber   string `json:"phoneNumber"`
	EmailVerified bool   `json:"emailVerified"`
	Disabled      bool   `json:"disabled"`
	IDToken       string `json:"idToken"` // of an anonymous account, which gets an e-mail address
}

type signUpAnswer struct {
	Kind        string `json:"kind"`
	LocalID     string `json:"localId"`
	DisplayName string `json:"displayName,omitempty"`
	Email       string `json:"email,omitempty"`
	tokens
}

// signUp creates an account. Apps create one with an e-mail address and a password or an
// anonymous one, and are signed in. Servers create any account, and get no tokens. As every
// operation it runs with s.mu held: see handle.
func signUp(s *Server, c call, in signUpRequest) (any, error) {
	by, err := c.checkSignUp(in)
	if err != nil {
		return nil, err
	}
	var upgraded *account
	if in.IDToken != "" {
		if upgraded, _, err = c.signedIn(in.IDToken); err != nil {
			return nil, err
		}
	}

	now, a := s.now(), upgraded
	if a != nil {
		c.change(a, func() { a.setSignedUp(in, c.owner, by, now) })
	} else {
		a = &account{LocalID: in.LocalID}
		a.setSignedUp(in, c.owner, by, now)
		c.add(a, now)
	}

	answer := signUpAnswer{Kind: "identitytoolkit#SignupNewUserResponse", LocalID: a.LocalID, DisplayName: a.DisplayName, Email: a.Email}
	if by != "" {
		answer.tokens = s.issueTokens(c.realm, a, by, nil)
	}
	return answer, nil
}

// setSignedUp sets the fields that a request to create an account gives. by is the way in
// which an app signs in, for example byPassword; "" for a server.
func (a *account) setSignedUp(in signUpRequest, owner bool, by string, now time.Time) {
	a.LastLoginAt = milliseconds(now)
	if owner || by == byPassword {
		a.DisplayName = in.DisplayName
		a.EmailVerified = new(owner && in.EmailVerified)
	}
	if owner {
		a.PhotoURL, a.PhoneNumber = in.PhotoURL, in.PhoneNumber
	}
	if owner && in.Disabled {
		a.Disabled = new(true)
	}
	if in.Email != "" {
		a.Email = strings.ToLower(in.Email)
	}
	if in.Password != "" {
		a.setPassword(in.Password, now)
		a.ValidSince = seconds(now)
	}
}

// checkSignUp checks a request to create an account. by is the way in which the app signs in,
// "" if a server sent the request.
func (c call) checkSignUp(in signUpRequest) (by string, err error) {
	withPassword := in.IDToken != "" || in.Password != "" || in.Email != ""
	switch {
	case c.owner:
		err = firstError(
			refuse(in.IDToken != "" && in.LocalID != "", "UNEXPECTED_PARAMETER : User ID"),
			refuse(in.LocalID != "" && c.accounts[in.LocalID] != nil, "DUPLICATE_LOCAL_ID"),
			refuse(in.PhoneNumber != "" && !isPhone(in.PhoneNumber), "INVALID_PHONE_NUMBER : Invalid format."),
			refuse(c.byPhone[in.PhoneNumber] != nil, "PHONE_NUMBER_EXISTS"),
		)
	case in.LocalID != "":
		err = badRequest("UNEXPECTED_PARAMETER : User ID")
	case withPassword:
		by = byPassword
		err = firstError(refuse(in.Email == "", "MISSING_EMAIL"), refuse(in.Password == "", "MISSING_PASSWORD"))
	default:
		by = byAnonymous
	}
	if err != nil {
		return "", err
	}

	return by, firstError(
		refuse(in.Email != "" && !isEmail(in.Email), "INVALID_EMAIL"),
		refuse(c.byEmail[strings.ToLower(in.Email)] != nil, "EMAIL_EXISTS"),
		checkPassword(in.Password),
	)
}

// signInWithPasswordRequest are the fields of accounts:signInWithPassword.
type signInWithPasswordRequest struct {
	Email    *string `json:"email"` // nil: not given
	Password string  `json:"password"`
}

type signInWithPasswordAnswer struct {
	Kind       string `json:"kind"`
	Registered bool   `json:"registered"`
	LocalID    string `json:"localId"`
	Email      string `json:"email"`
	tokens
}

// signInWithPassword signs in with an e-mail address and a password.
func signInWithPassword(s *Server, c call, in signInWithPasswordRequest) (any, error) {
	if in.Email == nil {
		return nil, badRequest("MISSING_EMAIL")
	}
	if err := firstError(refuse(!isEmail(*in.Email), "INVALID_EMAIL"), refuse(in.Password == "", "MISSING_PASSWORD")); err != nil {
		return nil, err
	}

	noAccount, wrongPassword := "EMAIL_NOT_FOUND", "INVALID_PASSWORD"
	if s.hidesAccounts(c.project) {
		noAccount, wrongPassword = "INVALID_LOGIN_CREDENTIALS", "INVALID_LOGIN_CREDENTIALS"
	}
	a := c.byEmail[strings.ToLower(*in.Email)]
	if a == nil {
		return nil, badRequest(noAccount)
	}
	if err := firstError(refuse(a.isDisabled(), "USER_DISABLED"), refuse(!a.hasPassword(in.Password), wrongPassword)); err != nil {
		return nil, err
	}

	a.LastLoginAt = milliseconds(s.now())
	return signInWithPasswordAnswer{
		Kind: "identitytoolkit#VerifyPasswordResponse", Registered: true, LocalID: a.LocalID, Email: a.Email,
		tokens: s.issueTokens(c.realm, a, byPassword, nil),
	}, nil
}

// signInWithCustomTokenRequest are the fields of accounts:signInWithCustomToken.
type signInWithCustomTokenRequest struct {
	Token string `json:"token"`
}

type signInWithCustomTokenAnswer struct {
	Kind      string `json:"kind"`
	IsNewUser bool   `json:"isNewUser"`
	tokens
}

// signInWithCustomToken signs in with a token that a server made: a JSON Web Token, whose
// signature is not checked, or only its claims as JSON. It creates the account if there is
// none.
func signInWithCustomToken(s *Server, c call, in signInWithCustomTokenRequest) (any, error) {
	claims, err := c.parseCustomToken(in.Token)
	if err != nil {
		return nil, err
	}
	id := textOf(claims["uid"])
	if id == "" {
		id = textOf(claims["user_id"])
	}
	if id == "" {
		return nil, badRequest("MISSING_IDENTIFIER")
	}
	var custom map[string]any
	if given, ok := claims["claims"]; ok {
		if custom, err = checkClaims(given); err != nil {
			return nil, err
		}
	}

	now, a := s.now(), c.accounts[id]
	isNew := a == nil
	if isNew {
		a = &account{LocalID: id}
		c.add(a, now)
	} else if a.isDisabled() {
		return nil, badRequest("USER_DISABLED")
	}
	a.CustomAuth, a.LastLoginAt = true, milliseconds(now)
	return signInWithCustomTokenAnswer{"identitytoolkit#VerifyCustomTokenResponse", isNew, s.issueTokens(c.realm, a, byCustom, custom)}, nil
}

// parseCustomToken returns the claims of a custom token.
func (c call) parseCustomToken(token string) (map[string]any, error) {
	claims := map[string]any{}
	if token == "" {
		return nil, badRequest("MISSING_CUSTOM_TOKEN")
	}
	if strings.HasPrefix(token, "{") {
		if json.Unmarshal([]byte(token), &claims) != nil {
			return nil, badRequest("INVALID_CUSTOM_TOKEN : ((Auth Emulator only accepts strict JSON or JWTs as fake custom tokens.))")
		}
		return claims, nil
	}

	isJWT := decodeJWT(token, &claims)
	if c.tenant != "" && textOf(claims["tenant_id"]) != c.tenant {
		return nil, badRequest("TENANT_ID_MISMATCH")
	}
	if !isJWT {
		return nil, badRequest("INVALID_CUSTOM_TOKEN : Invalid assertion format")
	}
	if aud := claims["aud"]; aud != customTokenAudience {
		if aud == nil {
			aud = "undefined"
		}
		return nil, badRequest(fmt.Sprintf("INVALID_CUSTOM_TOKEN : ((Invalid aud (audience): %v "+
			"Note: Firebase ID Tokens / third-party tokens cannot be used with signInWithCustomToken.))", aud))
	}
	return claims, nil
}

// textOf returns a text or a number as a text, "" for anything else.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprint(v)
	}
	return ""
}

// isEmail reports whether a text has the form of an e-mail address.
func isEmail(text string) bool {
	name, host, found := strings.Cut(text, "@")
	return found && name != "" && host != "" && !strings.Contains(host, "@")
}

// isPhone reports whether a text has the form of a phone number.
func isPhone(text string) bool { return strings.HasPrefix(text, "+") }

// checkPassword refuses a password that is too short. An empty one is none.
func checkPassword(password string) error {
	return refuse(password != "" && utf8.RuneCountInString(password) < minPassword,
		fmt.Sprintf("WEAK_PASSWORD : Password should be at least %d characters", minPassword))
}

// createAuthURIRequest are the fields of accounts:createAuthUri.
type createAuthURIRequest struct {
	Identifier  string `json:"identifier"`
	ContinueURI string `json:"continueUri"`
	ProviderID  string `json:"providerId"`
	SessionID   string `json:"sessionId"`
}

// createAuthURI returns how the account of an e-mail address signs in.
func createAuthURI(s *Server, c call, in createAuthURIRequest) (any, error) {
	if in.ProviderID != "" {
		return nil, notImplemented("Sign-in with IDP is not yet supported.")
	}
	if err := firstError(
		refuse(in.Identifier == "", "MISSING_IDENTIFIER"),
		refuse(in.ContinueURI == "", "MISSING_CONTINUE_URI"),
		refuse(!isEmail(in.Identifier), "INVALID_IDENTIFIER"),
		refuse(!isAbsolute(in.ContinueURI), "INVALID_CONTINUE_URI"),
	); err != nil {
		return nil, err
	}

	if in.SessionID == "" {
		in.SessionID = randomText(27)
	}
	answer := map[string]any{"kind": "identitytoolkit#CreateAuthUriResponse", "sessionId": in.SessionID}
	if s.hidesAccounts(c.project) {
		return answer, nil
	}
	a, methods := c.byEmail[strings.ToLower(in.Identifier)], []string{}
	if a != nil && a.PasswordHash != "" {
		methods = append(methods, byPassword)
	}
	answer["registered"], answer["allProviders"], answer["signinMethods"] = a != nil, methods, methods
	return answer, nil
}
