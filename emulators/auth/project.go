package auth

// projectNumber is the number of every project, as in Google's emulator.
const projectNumber = "12345"

// getProject returns what SDKs ask about a project.
func getProject(_ *Server, _ call, _ struct{}) (any, error) {
	return map[string]any{"projectId": projectNumber, "authorizedDomains": []string{"localhost"}}, nil
}

// getConfig returns the configuration of a project.
func getConfig(_ *Server, c call, _ struct{}) (any, error) { return c.config, nil }

// hidesAccounts reports whether the errors of a project hide if an e-mail address has an
// account. The caller holds s.mu.
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
