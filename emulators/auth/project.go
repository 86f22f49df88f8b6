package auth

import (
	"strings"
)

// projectNumber is the number of every project, as in Google's emulator.
const projectNumber = "12345"

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

// getProject returns what SDKs ask about a project.
func getProject(_ *Server, _ call, _ struct{}) (any, error) {
	return map[string]any{"projectId": projectNumber, "authorizedDomains": []string{"localhost"}}, nil
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

// clearAccounts deletes all accounts of a project or a tenant.
func clearAccounts(_ *Server, c call, _ struct{}) (any, error) {
	c.clear()
	return map[string]any{}, nil
}

// getConfig returns the configuration of a project.
func getConfig(_ *Server, c call, _ struct{}) (any, error) { return c.config, nil }

// hidesAccounts reports whether errors of a project do not say if an e-mail address has an
// account. It needs s.mu.
func (s *Server) hidesAccounts(project string) bool {
	return s.openRealm(realmKey{project: project}).config.EmailPrivacyConfig.EnableImprovedEmailPrivacy
}

// configRequest are the fields of a change of the configuration. A nil field is not given.
type configRequest struct {
	SignIn struct {
		AllowDuplicateEmails *bool `json:"allowDuplicateEmails"`
	} `json:"signIn"`
	EmailPrivacyConfig struct {
		EnableImprovedEmailPrivacy *bool `json:"enableImprovedEmailPrivacy"`
	} `json:"emailPrivacyConfig"`
}

// setConfig changes what the request gives. If it gives nothing, it resets everything.
func setConfig(_ *Server, c call, in configRequest) (any, error) {
	duplicates, privacy := in.SignIn.AllowDuplicateEmails, in.EmailPrivacyConfig.EnableImprovedEmailPrivacy
	if duplicates == nil && privacy == nil {
		c.config = config{}
	}
	if duplicates != nil {
		c.config.SignIn.AllowDuplicateEmails = *duplicates
	}
	if privacy != nil {
		c.config.EmailPrivacyConfig.EnableImprovedEmailPrivacy = *privacy
	}
	return c.config, nil
}

// listNoCodes returns the list of codes that were sent by SMS: this server sends none.
func listNoCodes(*Server, call, struct{}) (any, error) {
	return map[string]any{"verificationCodes": []any{}}, nil
}
