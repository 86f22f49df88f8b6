// Package auth tells who calls: it verifies Firebase Auth ID tokens, and is the
// only package that knows Firebase Auth. Verifying needs no call to Google but
// for the certificates, which the Admin SDK keeps as long as they say.
package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	firebase "firebase.google.com/go/v4"
	sdk "firebase.google.com/go/v4/auth"
	"google.golang.org/api/option"

	"carillon.example/shared/push"
)

// MaxToken is the longest ID token in bytes that is looked at. Custom claims
// are at most 1,000 bytes; tokens seen are one to two thousand.
const MaxToken = 8192

// patience is how long certificates or an account are waited for.
const patience = 10 * time.Second

// A Identity is who an ID token speaks for.
type Identity struct {
	UID    string
	Tenant string         // of Identity Platform; "": none
	Claims map[string]any // without the registered ones and uid
}

// Refused is the error of a token that is not good. Why is one of a few fixed
// texts: it repeats nothing of the token.
type Refused struct{ Why string }

func (e *Refused) Error() string { return "the ID token is refused: " + e.Why }

// Options are what a Verifier can be told.
type Options struct {
	// CheckRevoked asks Google about the account at every call, so that a
	// sign-out everywhere or a disabled account ends its tokens at once. Without
	// it they are good for the rest of their hour.
	CheckRevoked bool
	// Getenv looks the environment up: os.Getenv.
	Getenv func(string) string
	// Client is for the calls about accounts alone; none: the process's
	// credentials.
	Client []option.ClientOption
}

// A Verifier verifies the ID tokens of one project; safe for concurrent use.
type Verifier struct {
	client  *sdk.Client
	revoked bool
}

// New makes a verifier of project's tokens. Where FIREBASE_AUTH_EMULATOR_HOST
// is set, the SDK takes tokens without looking at their signature: New refuses
// that on Cloud Run, and for projects whose id does not begin with "demo-",
// which is Firebase's own sign of a project that has only emulators.
func New(ctx context.Context, project string, o Options) (*Verifier, error) {
	emulated := o.Getenv("FIREBASE_AUTH_EMULATOR_HOST") != ""
	if emulated && (o.Getenv("K_SERVICE") != "" || !strings.HasPrefix(project, "demo-")) {
		return nil, fmt.Errorf("FIREBASE_AUTH_EMULATOR_HOST is set: it lets unsigned tokens in, which project %s must not", project)
	}

	var client []option.ClientOption
	switch {
	case emulated || !o.CheckRevoked:
		client = append(client, option.WithoutAuthentication()) // certificates are public
	default:
		client = o.Client
	}

	app, err := firebase.NewApp(ctx, &firebase.Config{ProjectID: project}, client...)
	if err != nil {
		return nil, fmt.Errorf("opening Firebase of %s: %w", project, err)
	}

	c, err := app.Auth(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening Firebase Auth of %s: %w", project, err)
	}
	return &Verifier{client: c, revoked: o.CheckRevoked}, nil
}

// Verify answers who a token speaks for. It answers *Refused when the token is
// not good, and *push.Unavailable when that cannot be known now.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if len(token) > MaxToken {
		return Identity{}, &Refused{fmt.Sprintf("it is longer than %d bytes", MaxToken)}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t, err := v.client.VerifyIDToken(ctx, token)
	if err == nil && v.revoked {
		t, err = v.checkAccount(ctx, token, t.Firebase.Tenant)
	}
	if err != nil {
		return Identity{}, classify(err)
	}
	return Identity{UID: t.UID, Tenant: t.Firebase.Tenant, Claims: t.Claims}, nil
}

// checkAccount asks Google about the account behind a good token. An account of a
// tenant is found in that tenant alone, never in the project.
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

// classify tells a bad token from a result that could not be reached. The SDK's
// texts repeat claims of the token, and are not passed on for a bad one.
func classify(err error) error {
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
		return &Refused{"it is no valid ID token of this project"}
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("verifying an ID token: %w", err)
	}

	return &push.Unavailable{Err: fmt.Errorf("verifying an ID token: %w", err)}
}
