package auth

import (
	"slices"
	"strings"
	"time"
)

// updateRequest are the fields of accounts:update. A nil field is not given.
type updateRequest struct {
	IDToken          string   `json:"idToken"`
	OobCode          string   `json:"oobCode"`
	LocalID          string   `json:"localId"`
	Email            string   `json:"email"`
	Password         string   `json:"password"`
	DisplayName      *string  `json:"displayName"`
	PhotoURL         *string  `json:"photoUrl"`
	PhoneNumber      string   `json:"phoneNumber"`
	EmailVerified    *bool    `json:"emailVerified"`
	DisableUser      *bool    `json:"disableUser"`
	CustomAttributes *string  `json:"customAttributes"`
	CreatedAt        string   `json:"createdAt"`
	LastLoginAt      string   `json:"lastLoginAt"`
	ValidSince       string   `json:"validSince"`
	DeleteAttribute  []string `json:"deleteAttribute"`
	DeleteProvider   []string `json:"deleteProvider"`
	Provider         any      `json:"provider"`
	Link             any      `json:"linkProviderUserInfo"`
}

type updateAnswer struct {
	Kind             string     `json:"kind"`
	LocalID          string     `json:"localId"`
	EmailVerified    *bool      `json:"emailVerified,omitempty"`
	ProviderUserInfo []provider `json:"providerUserInfo,omitzero"`
	Email            string     `json:"email,omitempty"`
	DisplayName      string     `json:"displayName,omitempty"`
	PhotoURL         string     `json:"photoUrl,omitempty"`
	NewEmail         string     `json:"newEmail,omitempty"`
	PasswordHash     string     `json:"passwordHash,omitempty"`
	tokens
}

// update changes an account: the one of an ID token, or the one that a server names. A
// change of the password or of the e-mail address makes earlier ID tokens invalid, so an
// app gets new ones.
func update(s *Server, c call, in updateRequest) (any, error) {
	a, by, err := c.checkUpdate(in)
	if err != nil {
		return nil, err
	}
	if in.OobCode != "" {
		a, used, err := c.applyCode(in.OobCode)
		if err != nil {
			return nil, err
		}
		return answerUpdate(a, used.NewEmail), nil
	}

	email := strings.ToLower(in.Email)
	newEmail := email != "" && email != a.Email
	ended := in.Password != "" || in.ValidSince != "" || newEmail
	c.change(a, func() {
		if newEmail {
			a.setEmail(email, by != byAnonymous)
		}
		if ended {
			a.ValidSince = seconds(s.now())
		}
		a.setByAnyone(in, s.now())
		if c.owner {
			a.setByOwner(in)
		}
		a.deleteParts(in.DeleteAttribute, in.DeleteProvider)
	})

	if in.Password != "" {
		by = byPassword
	}
	if newEmail && by != byAnonymous && a.InitialEmail != "" {
		s.newCode(c.realm, recoverEmail, a.InitialEmail, "", "") // its owner can take the change back
	}
	answer := answerUpdate(a, email)
	if ended && by != "" {
		answer.tokens = s.issueTokens(c.realm, a, by, nil)
	}
	return answer, nil
}

// answerUpdate returns the answer for an account that was changed, without tokens.
func answerUpdate(a *account, newEmail string) updateAnswer {
	return updateAnswer{
		Kind: "identitytoolkit#SetAccountInfoResponse", LocalID: a.LocalID, EmailVerified: a.EmailVerified,
		ProviderUserInfo: slices.Clone(a.ProviderUserInfo), Email: a.Email, DisplayName: a.DisplayName, PhotoURL: a.PhotoURL,
		NewEmail: newEmail, PasswordHash: a.PasswordHash,
	}
}

// checkUpdate checks a request to change an account, and returns the account. by is how
// the sender of the ID token signed in, "" without a token.
func (c call) checkUpdate(in updateRequest) (a *account, by string, err error) {
	switch {
	case in.Provider != nil:
		err = notImplemented("provider is not implemented yet.")
	case in.Link != nil:
		err = notImplemented("linkProviderUserInfo is not implemented in the Auth Emulator.")
	case c.owner:
		err = refuse(in.LocalID == "", "MISSING_LOCAL_ID")
	default:
		err = firstError(
			refuse(in.IDToken == "" && in.OobCode == "", "INVALID_REQ_TYPE : Unsupported request parameters."),
			refuse(in.CustomAttributes != nil, "INSUFFICIENT_PERMISSION"),
		)
	}
	if err == nil && in.CustomAttributes != nil && *in.CustomAttributes != "" {
		err = checkCustomAttributes(*in.CustomAttributes)
	}
	if err != nil || in.OobCode != "" { // a code names its account
		return nil, "", err
	}

	if in.IDToken != "" {
		if a, by, err = c.signedIn(in.IDToken); err == nil {
			err = refuse(in.DisableUser != nil, "OPERATION_NOT_ALLOWED")
		}
	} else {
		a = c.accounts[in.LocalID]
		err = refuse(a == nil, "USER_NOT_FOUND")
	}
	if err != nil {
		return nil, "", err
	}
	return a, by, c.checkNewValues(a, in)
}

// checkNewValues checks what an account is to have.
func (c call) checkNewValues(a *account, in updateRequest) error {
	owner := c.byEmail[strings.ToLower(in.Email)]
	if err := firstError(
		refuse(in.Email != "" && !isEmail(in.Email), "INVALID_EMAIL"),
		refuse(owner != nil && owner != a, "EMAIL_EXISTS"),
		checkPassword(in.Password),
	); err != nil || !c.owner {
		return err
	}
	holder := c.byPhone[in.PhoneNumber]
	return firstError(
		refuse(in.PhoneNumber != "" && !isPhone(in.PhoneNumber), "INVALID_PHONE_NUMBER : Invalid format."),
		refuse(holder != nil && holder != a, "PHONE_NUMBER_EXISTS"),
	)
}

// setEmail sets another address, and keeps the first one if somebody signed in with it.
func (a *account) setEmail(email string, known bool) {
	if a.Email != "" && known && a.InitialEmail == "" {
		a.InitialEmail = a.Email
	}
	a.Email, a.EmailVerified = email, new(false)
}

// setByAnyone sets what apps, too, may change without a check.
func (a *account) setByAnyone(in updateRequest, now time.Time) {
	if in.Password != "" {
		a.setPassword(in.Password, now)
	}
	if in.DisplayName != nil {
		a.DisplayName = *in.DisplayName
	}
	if in.PhotoURL != nil {
		a.PhotoURL = *in.PhotoURL
	}
}

// setByOwner sets what only servers may change.
func (a *account) setByOwner(in updateRequest) {
	if in.DisableUser != nil {
		a.Disabled = in.DisableUser
	}
	if in.EmailVerified != nil {
		a.EmailVerified = in.EmailVerified
	}
	if in.CustomAttributes != nil {
		a.CustomAttributes = *in.CustomAttributes
	}
	for into, value := range map[*string]string{
		&a.PhoneNumber: in.PhoneNumber, &a.CreatedAt: in.CreatedAt, &a.LastLoginAt: in.LastLoginAt, &a.ValidSince: in.ValidSince,
	} {
		if value != "" {
			*into = value
		}
	}
}

// deleteParts removes attributes and ways to sign in from an account.
func (a *account) deleteParts(attributes, providers []string) {
	has := slices.Contains[[]string]
	withoutPassword := has(providers, byPassword)
	if has(attributes, "DISPLAY_NAME") {
		a.DisplayName = ""
	}
	if has(attributes, "PHOTO_URL") {
		a.PhotoURL = ""
	}
	if has(attributes, "PASSWORD") || withoutPassword {
		a.PasswordHash, a.Salt = "", ""
	}
	if has(attributes, "EMAIL") || withoutPassword {
		a.Email, a.EmailVerified = "", nil
	}
	if has(providers, byPhone) {
		a.PhoneNumber = ""
	}
}
