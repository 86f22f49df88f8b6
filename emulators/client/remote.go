package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// tries is how often in a row something is asked for that gets nowhere, and
// pause how long to wait before the second time where Retry-After does not say;
// it doubles each time.
const (
	MaxTries   = 8
	RetryPause = time.Second
)

// A Remote is where import and export find the API: a deployment, or this
// machine's emulators.
type Remote struct{ URL, Token string }

// RegisterFlags has the token's default applied later: help prints defaults.
func (r *Remote) RegisterFlags(f *flag.FlagSet, where string) {
	f.StringVar(&r.URL, where, "http://127.0.0.1:5001", "the API's URL")
	f.StringVar(&r.Token, "token", "", "an ID token for a deployment (default: the variable CARILLON_TOKEN)")
}

// Client speaks to it. It follows no redirect: one leads to a sign-in page, or
// from http to https, and the token is for nobody else.
func (r *Remote) Client() (*Client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no URL of an API, as http://127.0.0.1:5001 or https://HOST are", r.URL)
	}
	c := New(r.URL)
	c.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if token := cmp.Or(r.Token, os.Getenv("CARILLON_TOKEN")); token != "" {
		c.HTTP.Transport = bearer{token, http.DefaultTransport}
	}
	return c, nil
}

// bearer adds an ID token: in the cloud only IAM invokers get in.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// Temporary is a fault that may pass: the same may be asked for again.
type Temporary struct {
	Err  error
	wait time.Duration // at least; 0 if the answer does not say
}

// Error is the text of the fault.
func (l *Temporary) Error() string { return l.Err.Error() }

// Unwrap is the fault.
func (l *Temporary) Unwrap() error { return l.Err }

// RefusalOf is the error in an answer that is not 200: later where the function
// is busy or out of reach.
func RefusalOf(resp *http.Response, what string) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what is missing of it is only its words
	p := &Problem{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	if to := resp.Header.Get("Location"); to != "" {
		p.Detail = "it leads to " + to
	}
	_ = json.Unmarshal(b, p) // a body that is none leaves the status line
	err := fmt.Errorf("%s: %w", what, p)
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		l := &Temporary{Err: err}
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			l.wait = time.Duration(s) * time.Second
		}
		return l
	}

	return err
}

// Retry calls once until it succeeds, fails for good, or has failed tries times
// without getting on, and says what it waits for.
func Retry(ctx context.Context, pause time.Duration, say func(string), once func() (gotOn bool, err error)) error {
	wait := pause
	for try := 1; ; try++ {
		gotOn, err := once()
		l, passing := errors.AsType[*Temporary](err)
		if gotOn {
			try, wait = 1, pause
		}
		if !passing || try == MaxTries || ctx.Err() != nil {
			return err
		}
		rest := max(wait, l.wait)
		say(fmt.Sprintf("%v; again in %v", err, rest))
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, while waiting after: %w", ctx.Err(), err)
		case <-time.After(rest):
		}
		wait *= 2
	}
}
