package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/appcheck"
	"google.golang.org/api/option"

	"carillon.example/shared/push"
)

// RefusedApp is the error of an App Check token that is not good. Why is one of a
// few fixed texts: it repeats nothing of the token.
type RefusedApp struct{ Why string }

func (e *RefusedApp) Error() string { return "the App Check token is refused: " + e.Why }

// An AppVerifier verifies the Firebase App Check tokens of one project; safe for
// concurrent use. It fetches Google's keys at the first token, and again while the
// process lives.
type AppVerifier struct {
	project string
	turn    chan struct{} // whoever has it may make the client
	mu      sync.Mutex
	client  *appcheck.Client
}

// NewAppVerifier makes a verifier of project's App Check tokens.
func NewAppVerifier(project string) *AppVerifier {
	return &AppVerifier{project: project, turn: make(chan struct{}, 1)}
}

// VerifyApp answers the id of the app that a token was issued to. It answers
// *RefusedApp when the token is not good, and *push.Unavailable when that cannot be
// known now.
func (v *AppVerifier) VerifyApp(ctx context.Context, token string) (app string, err error) {
	if token == "" {
		return "", &RefusedApp{"there is none"}
	}
	if len(token) > MaxToken {
		return "", &RefusedApp{fmt.Sprintf("it is longer than %d bytes", MaxToken)}
	}
	c, err := v.openClient(ctx)
	if err != nil {
		return "", &push.Unavailable{Err: fmt.Errorf("fetching the keys of App Check: %w", err)}
	}

	defer func() {
		// The SDK expects claims of the types that Google's servers write.
		if recover() != nil {
			app, err = "", &RefusedApp{"it is no valid App Check token of this project"}
		}
	}()
	t, err := c.VerifyToken(token)
	if err != nil {
		return "", &RefusedApp{"it is no valid App Check token of this project, or has expired"}
	}
	return t.AppID, nil
}

// openClient returns the client, made where there is none yet. The keys are waited for until
// ctx ends, 10 s at most.
func (v *AppVerifier) openClient(ctx context.Context) (*appcheck.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c := v.kept(); c != nil {
		return c, nil
	}

	select {
	case v.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c := v.kept(); c != nil {
		<-v.turn
		return c, nil
	}
	made := make(chan error, 1)
	go func() { // the SDK takes no context for this
		defer func() { <-v.turn }()
		made <- v.open()
	}()

	select {
	case err := <-made:
		if err != nil {
			return nil, err
		}
		return v.kept(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (v *AppVerifier) kept() *appcheck.Client {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.client
}

// open fetches the keys. They are fetched anew for as long as the process lives.
func (v *AppVerifier) open() error {
	app, err := firebase.NewApp(context.Background(), &firebase.Config{ProjectID: v.project}, option.WithoutAuthentication())
	if err != nil {
		return err
	}

	c, err := app.AppCheck(context.Background())
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
