package auth

import (
	"cmp"
	"crypto/rand"
	"maps"
	"slices"
	"strconv"
	"time"
)

// A realmKey names a realm: a project, or a tenant of a project.
type realmKey struct{ project, tenant string }

// A realm is one set of accounts: that of a project, or of a tenant of a project. Its user
// ids, e-mail addresses and phone numbers are unique. The lock of the Server guards it.
type realm struct {
	realmKey
	accounts map[string]*account // by user id
	byEmail  map[string]*account
	byPhone  map[string]*account
	codes    []*code // that were not used yet
	config   config
	set      map[string]bool // the user ids for which Set was called, all true: Token makes no account for them. Empty for a tenant
}

// config is the configuration of a project that the paths of the emulator change.
type config struct {
	SignIn struct {
		AllowDuplicateEmails bool `json:"allowDuplicateEmails"`
	} `json:"signIn"`
	EmailPrivacyConfig struct {
		EnableImprovedEmailPrivacy bool `json:"enableImprovedEmailPrivacy"`
	} `json:"emailPrivacyConfig"`
}

// An account is one account, in the form of the answers to accounts:lookup.
type account struct {
	LocalID           string     `json:"localId"`
	Email             string     `json:"email,omitempty"` // in lower case
	EmailVerified     *bool      `json:"emailVerified,omitempty"`
	InitialEmail      string     `json:"initialEmail,omitempty"` // the first one, if it was changed
	DisplayName       string     `json:"displayName,omitempty"`
	PhotoURL          string     `json:"photoUrl,omitempty"`
	PhoneNumber       string     `json:"phoneNumber,omitempty"`
	PasswordHash      string     `json:"passwordHash,omitempty"`
	Salt              string     `json:"salt,omitempty"`
	PasswordUpdatedAt int64      `json:"passwordUpdatedAt,omitempty"` // Unix milliseconds
	ValidSince        string     `json:"validSince,omitempty"`        // Unix seconds
	CreatedAt         string     `json:"createdAt,omitempty"`         // Unix milliseconds
	LastLoginAt       string     `json:"lastLoginAt,omitempty"`       // Unix milliseconds
	LastRefreshAt     string     `json:"lastRefreshAt,omitempty"`     // RFC 3339
	Disabled          *bool      `json:"disabled,omitempty"`
	CustomAuth        bool       `json:"customAuth,omitempty"`
	CustomAttributes  string     `json:"customAttributes,omitempty"` // custom claims, as JSON
	TenantID          string     `json:"tenantId,omitempty"`
	ProviderUserInfo  []provider `json:"providerUserInfo,omitzero"` // nil: the account never had one
}

// A provider is one way in which an account signs in.
type provider struct {
	ProviderID  string `json:"providerId"`
	Email       string `json:"email,omitempty"`
	FederatedID string `json:"federatedId,omitempty"`
	RawID       string `json:"rawId,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	PhotoURL    string `json:"photoUrl,omitempty"`
	PhoneNumber string `json:"phoneNumber,omitempty"`
}

// The ids of the ways to sign in that this server has.
const (
	byPassword  = "password"
	byAnonymous = "anonymous"
	byCustom    = "custom"
	byPhone     = "phone"
)

func newRealm(key realmKey) *realm {
	m := &realm{realmKey: key, set: map[string]bool{}}
	m.clear()
	return m
}

// clear deletes all accounts.
func (m *realm) clear() {
	m.accounts, m.byEmail, m.byPhone = map[string]*account{}, map[string]*account{}, map[string]*account{}
}

// add creates an account with the user id of a. It makes one up if there is none.
func (m *realm) add(a *account, now time.Time) {
	if a.LocalID == "" {
		a.LocalID = randomText(28)
	}
	a.TenantID, a.CreatedAt = m.tenant, milliseconds(now)
	m.accounts[a.LocalID] = a
	m.index(a)
}

// remove deletes an account.
func (m *realm) remove(a *account) {
	delete(m.accounts, a.LocalID)
	delete(m.byEmail, a.Email)
	delete(m.byPhone, a.PhoneNumber)
}

// change runs do, which changes an account, and keeps the indexes and the providers of the
// account up to date.
func (m *realm) change(a *account, do func()) {
	delete(m.byEmail, a.Email)
	delete(m.byPhone, a.PhoneNumber)
	do()
	m.index(a)
}

// index enters an account in the indexes, and updates its providers.
func (m *realm) index(a *account) {
	if a.Email != "" {
		m.byEmail[a.Email] = a
	}
	if a.PhoneNumber != "" {
		m.byPhone[a.PhoneNumber] = a
	}
	a.setProvider(byPassword, a.Email != "" && a.PasswordHash != "", provider{
		ProviderID: byPassword, Email: a.Email, FederatedID: a.Email, RawID: a.Email, DisplayName: a.DisplayName, PhotoURL: a.PhotoURL,
	})
	a.setProvider(byPhone, a.PhoneNumber != "", provider{ProviderID: byPhone, PhoneNumber: a.PhoneNumber, RawID: a.PhoneNumber})
}

// sorted returns all accounts by their user ids.
func (m *realm) sorted() []*account {
	return slices.SortedFunc(maps.Values(m.accounts), func(a, b *account) int { return cmp.Compare(a.LocalID, b.LocalID) })
}

// setProvider adds or replaces a provider of the account, or removes it.
func (a *account) setProvider(id string, has bool, p provider) {
	at := slices.IndexFunc(a.ProviderUserInfo, func(p provider) bool { return p.ProviderID == id })
	switch {
	case has && at >= 0:
		a.ProviderUserInfo[at] = p
	case has:
		a.ProviderUserInfo = append(a.ProviderUserInfo, p)
	case at >= 0:
		a.ProviderUserInfo = slices.Delete(a.ProviderUserInfo, at, at+1)
	}
}

// setPassword sets the password. Its hash can be read by everyone, as in Google's emulator:
// passwords of an emulator are for tests.
func (a *account) setPassword(password string, now time.Time) {
	a.Salt = "fakeSalt" + randomText(20)
	a.PasswordHash = hashPassword(password, a.Salt)
	a.PasswordUpdatedAt = now.UnixMilli()
}

// hasPassword reports whether the account signs in with this password.
func (a *account) hasPassword(password string) bool {
	return a.PasswordHash != "" && a.PasswordHash == hashPassword(password, a.Salt)
}

func (a *account) isDisabled() bool { return a.Disabled != nil && *a.Disabled }

func hashPassword(password, salt string) string {
	return "fakeHash:salt=" + salt + ":password=" + password
}

// milliseconds returns a time as Unix milliseconds.
func milliseconds(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// seconds returns a time as Unix seconds.
func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// randomText returns n random letters and digits.
func randomText(n int) string {
	const from = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = from[int(b[i])%len(from)]
	}
	return string(b)
}
