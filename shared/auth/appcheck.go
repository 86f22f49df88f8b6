package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"firebase.google.com/go/v4/appcheck"

	"carillon.example/shared/push"
)

// RefusedApp is the error of an invalid App Check token. Why is one of a few fixed texts,
// which do not repeat any part of the token.
type RefusedApp struct{ Why string }

func (e *RefusedApp) Error() string { return "the App Check token is refused: " + e.Why }

// An AppVerifier verifies the Firebase App Check tokens of one project. It is safe for
// concurrent use. It fetches Google's keys at the first token. The SDK fetches them again
// as long as the process runs.
type AppVerifier struct {
	project string
	turn    chan struct{}    // capacity 1: holds a value while one goroutine makes the client
	mu      sync.Mutex       // guards client
	client  *appcheck.Client // nil until the first token
}

// NewAppVerifier makes a verifier of the App Check tokens of a project.
func NewAppVerifier(project string) *AppVerifier {
	return &AppVerifier{project: project, turn: make(chan struct{}, 1)}
}

// VerifyApp returns the id of the app that a token was issued to. The error is *RefusedApp
// if the token is invalid, and *push.Unavailable if that cannot be decided now.
func (v *AppVerifier) VerifyApp(ctx context.Context, token string) (app string, err error) {
	if token == "" {
		return "", &RefusedApp{"it is missing"}
	}
	if len(token) > MaxToken {
		return "", &RefusedApp{fmt.Sprintf("it is longer than %d bytes", MaxToken)}
	}

	c, err := v.openClient(ctx)
	if err != nil {
		return "", &push.Unavailable{Err: fmt.Errorf("fetching the keys of App Check: %w", err)}
	}

	defer func() {
		// The SDK panics if a claim does not have the type that Google's servers use.
		if recover() != nil {
			app, err = "", &RefusedApp{"it is not a valid App Check token of this project"}
		}
	}()

	t, err := c.VerifyToken(token)
	if err != nil {
		return "", &RefusedApp{"it is not a valid App Check token of this project, or has expired"}
	}
	return t.AppID, nil
}

// openClient returns the client, and makes it first if no call has made it. It waits for
// the keys until ctx ends, at most fetchTimeout.
func (v *AppVerifier) openClient(ctx context.Context) (*appcheck.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if c := v.currentClient(); c != nil {
		return c, nil
	}

	select {
	case v.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c := v.currentClient(); c != nil { // another call made it while this one waited
		<-v.turn
		return c, nil
	}

	// The SDK has no context here and may block longer than ctx, so the goroutine may go on
	// after this call. It keeps the turn until then.
	made := make(chan error, 1)
	go func() {
		defer func() { <-v.turn }()
		made <- v.makeClient()
	}()

	select {
	case err := <-made:
		if err != nil {
			return nil, err
		}
		return v.currentClient(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// currentClient returns the client, nil if it is not made yet.
func (v *AppVerifier) currentClient() *appcheck.Client {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.client
}

// makeClient makes the client and stores it. The SDK fetches the keys while it makes it.
func (v *AppVerifier) makeClient() error {
	conf := configOf(appcheck.NewClient)
	conf.ProjectID = v.project
	c, err := appcheck.NewClient(context.Background(), conf)
	if err != nil {
		return err
	}
	if c == nil {
		return errors.New("the SDK made no client")
	}

	v.mu.Lock()
	defer v.mu.Unlock()
	v.client = c
	return nil
}
