package auth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The kinds of codes that this server sends.
const (
	passwordReset  = "PASSWORD_RESET"
	verifyEmail    = "VERIFY_EMAIL"
	changeEmail    = "VERIFY_AND_CHANGE_EMAIL"
	recoverEmail   = "RECOVER_EMAIL"
	actionPath     = "/emulator/action"
	invalidOobCode = "INVALID_OOB_CODE"
)

// modes are the kinds of codes in the links to actionPath.
var modes = map[string]string{
	passwordReset: "resetPassword", verifyEmail: "verifyEmail", changeEmail: "verifyAndChangeEmail", recoverEmail: "recoverEmail",
}

// otherKinds are kinds of codes that the service knows, too.
var otherKinds = []string{"OOB_REQ_TYPE_UNSPECIFIED", "OLD_EMAIL_AGREE", "NEW_EMAIL_ACCEPT", "EMAIL_SIGNIN", "REVERT_SECOND_FACTOR_ADDITION", recoverEmail}

// A code is a code that the service would send by e-mail. It is used once.
type code struct {
	Email       string `json:"email"`
	NewEmail    string `json:"newEmail,omitempty"`
	RequestType string `json:"requestType"`
	OobCode     string `json:"oobCode"`
	OobLink     string `json:"oobLink"`
}

// sendCodeRequest are the fields of accounts:sendOobCode.
type sendCodeRequest struct {
	RequestType   string `json:"requestType"`
	Email         string `json:"email"`
	NewEmail      string `json:"newEmail"`
	IDToken       string `json:"idToken"`
	ContinueURL   string `json:"continueUrl"`
	ReturnOobLink bool   `json:"returnOobLink"`
}

type sendCodeAnswer struct {
	Kind    string `json:"kind"`
	Email   string `json:"email"`
	OobCode string `json:"oobCode,omitempty"`
	OobLink string `json:"oobLink,omitempty"`
}

// sendCode makes a code. No e-mail is sent: tests and people find the code in the list of
// the project, and servers that ask for it get it in the answer.
func sendCode(s *Server, c call, in sendCodeRequest) (any, error) {
	if err := c.checkSendCode(in); err != nil {
		return nil, err
	}
	answer := sendCodeAnswer{Kind: "identitytoolkit#GetOobConfirmationCodeResponse", Email: strings.ToLower(in.Email)}
	if in.RequestType == passwordReset {
		if err := refuse(in.Email == "", "MISSING_EMAIL"); err != nil {
			return nil, err
		}
		if c.byEmail[answer.Email] == nil {
			if s.hidesAccounts(c.project) {
				return answer, nil
			}
			return nil, badRequest("EMAIL_NOT_FOUND")
		}
	} else {
		a, err := c.accountOfCode(in)
		if err != nil {
			return nil, err
		}
		answer.Email = a.Email
	}

	made := s.newCode(c.realm, in.RequestType, answer.Email, strings.ToLower(in.NewEmail), in.ContinueURL)
	if in.ReturnOobLink {
		answer.OobCode, answer.OobLink = made.OobCode, made.OobLink
	}
	return answer, nil
}

// checkSendCode checks what requests for every kind of code have in common.
func (c call) checkSendCode(in sendCodeRequest) error {
	sent := modes[in.RequestType] != "" && in.RequestType != recoverEmail
	if !sent && in.RequestType != "" && !slices.Contains(otherKinds, in.RequestType) {
		return invalidArgument("Invalid JSON payload received. /requestType must be equal to one of the allowed values", "invalid")
	}
	if err := firstError(
		refuse(in.RequestType == "" || in.RequestType == "OOB_REQ_TYPE_UNSPECIFIED", "MISSING_REQ_TYPE"),
		refuse(in.ReturnOobLink && !c.owner, "INSUFFICIENT_PERMISSION"),
		refuse(in.ContinueURL != "" && !isAbsolute(in.ContinueURL), "INVALID_CONTINUE_URI : ((expected an absolute URI with valid scheme and host))"),
	); err != nil || sent {
		return err
	}
	return notImplemented(in.RequestType)
}

// accountOfCode returns the account whose address a code verifies or changes: that of an ID
// token, or the one whose address a server gives.
func (c call) accountOfCode(in sendCodeRequest) (a *account, err error) {
	change := in.RequestType == changeEmail
	if err := refuse(change && in.NewEmail == "", "MISSING_NEW_EMAIL"); err != nil {
		return nil, err
	}
	if in.ReturnOobLink && in.IDToken == "" {
		a = c.byEmail[strings.ToLower(in.Email)]
		err = firstError(refuse(in.Email == "", "MISSING_EMAIL"), refuse(a == nil, "USER_NOT_FOUND"))
	} else if err = refuse(change && in.IDToken == "", "MISSING_ID_TOKEN"); err == nil {
		if a, _, err = c.signedIn(in.IDToken); err == nil {
			err = refuse(a.Email == "", "MISSING_EMAIL")
		}
	}
	if err != nil {
		return nil, err
	}
	return a, refuse(change && c.byEmail[strings.ToLower(in.NewEmail)] != nil, "EMAIL_EXISTS")
}

// newCode makes a code and enters it in the list of the realm.
func (s *Server) newCode(m *realm, kind, email, newEmail, continueURL string) *code {
	made := &code{Email: email, NewEmail: newEmail, RequestType: kind, OobCode: randomText(54)}
	link := url.Values{"mode": {modes[kind]}, "lang": {"en"}, "oobCode": {made.OobCode}, "apiKey": {"fake-api-key"}}
	if continueURL != "" {
		link.Set("continueUrl", continueURL)
	}
	if m.tenant != "" {
		link.Set("tenantId", m.tenant)
	}
	made.OobLink = "http://" + s.Addr() + actionPath + "?" + link.Encode()
	m.codes = append(m.codes, made)
	return made
}

// findCode returns a code that was not used yet.
func (m *realm) findCode(text string) (*code, error) {
	for _, c := range m.codes {
		if c.OobCode == text {
			return c, nil
		}
	}
	return nil, badRequest(invalidOobCode)
}

// useCode removes a code from the list.
func (m *realm) useCode(used *code) {
	m.codes = slices.DeleteFunc(m.codes, func(c *code) bool { return c == used })
}

// applyCode does what a code that verifies, changes or recovers an address is for, and
// returns the account.
func (m *realm) applyCode(text string) (*account, *code, error) {
	found, err := m.findCode(text)
	if err != nil {
		return nil, nil, err
	}
	if found.RequestType == passwordReset {
		return nil, nil, notImplemented(found.RequestType)
	}

	m.useCode(found)
	a, email := m.byEmail[found.Email], found.Email
	switch found.RequestType {
	case changeEmail:
		email = found.NewEmail
	case recoverEmail:
		a = nil
		for _, of := range m.accounts {
			if of.InitialEmail == found.Email {
				a = of
			}
		}
	}
	if a == nil {
		return nil, nil, badRequest(invalidOobCode)
	}
	if email != a.Email && m.byEmail[email] != nil {
		return nil, nil, badRequest("EMAIL_EXISTS")
	}
	m.change(a, func() { a.Email, a.EmailVerified = email, new(true) })
	return a, found, nil
}

// resetPasswordRequest are the fields of accounts:resetPassword.
type resetPasswordRequest struct {
	OobCode     string `json:"oobCode"`
	NewPassword string `json:"newPassword"`
}

type resetPasswordAnswer struct {
	Kind        string `json:"kind"`
	RequestType string `json:"requestType"`
	Email       string `json:"email,omitempty"`
	NewEmail    string `json:"newEmail,omitempty"`
}

// resetPassword sets a new password with a code. Without a password it only says what a
// code is for.
func resetPassword(s *Server, c call, in resetPasswordRequest) (any, error) {
	if in.OobCode == "" {
		return nil, badRequest("MISSING_OOB_CODE")
	}
	found, err := c.findCode(in.OobCode)
	if err != nil {
		return nil, err
	}
	answer := resetPasswordAnswer{"identitytoolkit#ResetPasswordResponse", found.RequestType, found.Email, found.NewEmail}
	if in.NewPassword == "" {
		return answer, nil
	}
	if err := firstError(refuse(found.RequestType != passwordReset, invalidOobCode), checkPassword(in.NewPassword)); err != nil {
		return nil, err
	}

	c.useCode(found)
	a := c.byEmail[found.Email]
	if a == nil {
		return nil, badRequest(invalidOobCode)
	}
	now := s.now()
	c.change(a, func() {
		a.setPassword(in.NewPassword, now)
		a.ValidSince, a.EmailVerified = seconds(now), new(true)
	})
	return answer, nil
}

// listCodes returns the codes of a project that were not used yet.
func listCodes(_ *Server, c call, _ struct{}) (any, error) {
	return map[string]any{"oobCodes": append([]*code{}, c.codes...)}, nil
}

// serveAction does what the link of a code is for: with a browser or with curl, because no
// page is served. A new password is a parameter of the address.
func (s *Server) serveAction(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	answer, err := s.act(q)
	switch {
	case err != nil:
		writeError(w, err)
	case isAbsolute(q.Get("continueUrl")):
		http.Redirect(w, r, q.Get("continueUrl"), http.StatusSeeOther)
	default:
		writeJSON(w, http.StatusOK, map[string]any{"authEmulator": answer})
	}
}

// act does what the link with these parameters is for.
func (s *Server) act(q url.Values) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, found := s.realmOfCode(q.Get("oobCode"))
	if found == nil || modes[found.RequestType] != q.Get("mode") {
		return nil, badRequest(invalidOobCode)
	}
	if found.RequestType == passwordReset {
		in := resetPasswordRequest{found.OobCode, q.Get("newPassword")}
		if in.NewPassword == "" {
			return nil, badRequest("MISSING_PASSWORD : add it to this address, as &newPassword=…")
		}
		if _, err := resetPassword(s, call{realm: m}, in); err != nil {
			return nil, err
		}
		s.changes++
		return map[string]any{"success": "the password was changed", "email": found.Email}, nil
	}

	a, _, err := m.applyCode(found.OobCode)
	if err != nil {
		return nil, err
	}
	s.changes++
	return map[string]any{"success": "the address is verified", "email": a.Email}, nil
}

// realmOfCode returns the realm that has a code, because a link names no project. The
// caller holds s.mu.
func (s *Server) realmOfCode(text string) (*realm, *code) {
	for _, m := range s.realms {
		if found, err := m.findCode(text); err == nil {
			return m, found
		}
	}
	return nil, nil
}

// isAbsolute reports whether a text is an address with a scheme and a host.
func isAbsolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Host != ""
}
