// Package auth verifies Firebase Auth ID tokens and App Check tokens. No other package
// uses Firebase Auth. It calls Google to fetch certificates, which the Admin SDK caches for
// their lifetime, and, with CheckRevoked, to fetch the account.
package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "firebase.google.com/go/v4/auth"
	"google.golang.org/api/option"

	"carillon.example/shared/push"
)

// MaxToken is the length of the longest ID token that is verified, in bytes. Custom claims
// have at most 1,000 bytes; usual tokens have one to two thousand.
const MaxToken = 8192

// fetchTimeout limits the time to fetch certificates or an account.
const fetchTimeout = 10 * time.Second

// An Identity is the user of an ID token.
type Identity struct {
	UID    string
	Tenant string         // tenant of Identity Platform; "": none
	Claims map[string]any // all claims except the registered ones and uid
}

// Refused is the error of an invalid token. Why is one of a few fixed texts, which do not
// repeat any part of the token.
type Refused struct{ Why string }

func (e *Refused) Error() string { return "the ID token is refused: " + e.Why }

// Options configure a Verifier.
type Options struct {
	// CheckRevoked asks Google about the account at every call, so that the tokens of a
	// user who signed out everywhere, or whose account is disabled, are refused at once.
	// Without it they stay valid until they expire, at most an hour.
	CheckRevoked bool
	// Getenv reads the environment; os.Getenv in production.
	Getenv func(string) string
	// Client has the options of the client that asks about accounts. If it is empty, the
	// client uses the credentials of the process.
	Client []option.ClientOption
}

// A Verifier verifies the ID tokens of one project. It is safe for concurrent use.
type Verifier struct {
	client  *sdk.Client
	revoked bool // CheckRevoked of the options
}

// New makes a verifier of the tokens of a project. If FIREBASE_AUTH_EMULATOR_HOST is set,
// the SDK accepts tokens without a valid signature. New refuses that on Cloud Run, and for
// projects whose id does not begin with "demo-", Firebase's prefix for projects that exist
// only in emulators.
func New(ctx context.Context, project string, o Options) (*Verifier, error) {
	emulated := o.Getenv("FIREBASE_AUTH_EMULATOR_HOST") != ""
	if emulated && (o.Getenv("K_SERVICE") != "" || !strings.HasPrefix(project, "demo-")) {
		return nil, fmt.Errorf("FIREBASE_AUTH_EMULATOR_HOST is set: it accepts unsigned tokens, which is not allowed for project %s", project)
	}

	var client []option.ClientOption
	switch {
	case emulated || !o.CheckRevoked:
		client = append(client, option.WithoutAuthentication()) // certificates are public
	default:
		client = o.Client
	}

	conf := configOf(sdk.NewClient)
	conf.ProjectID, conf.Version = project, sdkVersion
	conf.Opts = append([]option.ClientOption{option.WithScopes(accountScopes...)}, client...)
	c, err := sdk.NewClient(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("opening Firebase Auth of %s: %w", project, err)
	}
	return &Verifier{client: c, revoked: o.CheckRevoked}, nil
}

// Verify returns the identity of a token. The error is *Refused if the token is invalid,
// and *push.Unavailable if that cannot be decided now.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if len(token) > MaxToken {
		return Identity{}, &Refused{fmt.Sprintf("it is longer than %d bytes", MaxToken)}
	}

	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	t, err := v.client.VerifyIDToken(ctx, token)
	if err == nil && v.revoked {
		t, err = v.checkAccount(ctx, token, t.Firebase.Tenant)
	}
	if err != nil {
		return Identity{}, classifyError(err)
	}
	return Identity{UID: t.UID, Tenant: t.Firebase.Tenant, Claims: t.Claims}, nil
}

// checkAccount asks Google about the account of a valid token. An account of a tenant is
// found only in that tenant, not in the project.
func (v *Verifier) checkAccount(ctx context.Context, token, tenant string) (*sdk.Token, error) {
	if tenant == "" {
		return v.client.VerifyIDTokenAndCheckRevoked(ctx, token)
	}
	of, err := v.client.TenantManager.AuthForTenant(tenant)
	if err != nil {
		return nil, err
	}
	return of.VerifyIDTokenAndCheckRevoked(ctx, token)
}

// classifyError returns *Refused for an invalid token, and *push.Unavailable if Google
// cannot be reached. An error of a cancelled context is returned as it is. Texts of the SDK
// repeat claims of the token, so they are not part of *Refused.
func classifyError(err error) error {
	switch {
	case sdk.IsIDTokenExpired(err):
		return &Refused{"it has expired"}
	case sdk.IsIDTokenRevoked(err):
		return &Refused{"it has been revoked"}
	case sdk.IsUserDisabled(err):
		return &Refused{"its account is disabled"}
	case sdk.IsUserNotFound(err):
		return &Refused{"its account is gone"}
	case sdk.IsIDTokenInvalid(err):
		return &Refused{"it is not a valid ID token of this project"}
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("verifying an ID token: %w", err)
	}

	return &push.Unavailable{Err: fmt.Errorf("verifying an ID token: %w", err)}
}
