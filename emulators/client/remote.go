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

// MaxTries is the number of attempts without progress, and RetryPause the wait before
// the second attempt. The wait doubles for each attempt; a longer Retry-After replaces it.
const (
	MaxTries   = 8
	RetryPause = time.Second
)

// A Remote is the API that import and export call: a deployment, or the emulators of
// this machine.
type Remote struct{ URL, Token string }

// RegisterFlags adds the flags for the URL and the token to f. Client applies the default
// of the token, because the help prints the defaults of flags.
func (r *Remote) RegisterFlags(f *flag.FlagSet, where string) {
	f.StringVar(&r.URL, where, "http://127.0.0.1:5001", "URL of the API")
	f.StringVar(&r.Token, "token", "", "ID token for a deployment (default: the environment variable CARILLON_TOKEN)")
}

// Client returns a client of the API. It does not follow redirects, so that it does not
// send the token to another server: a redirect leads to a sign-in page, or from http to
// https.
func (r *Remote) Client() (*Client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not a URL of an API, like http://127.0.0.1:5001 or https://HOST", r.URL)
	}
	c := New(r.URL)
	c.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if token := cmp.Or(r.Token, os.Getenv("CARILLON_TOKEN")); token != "" {
		c.HTTP.Transport = bearer{token, http.DefaultTransport}
	}
	return c, nil
}

// bearer adds an ID token to requests: in the cloud, IAM admits only invokers.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// Temporary is an error after which the request can be retried.
type Temporary struct {
	Err  error
	wait time.Duration // shortest wait before the retry; 0: the response does not say
}

// Error returns the text of the wrapped error.
func (l *Temporary) Error() string { return l.Err.Error() }

// Unwrap returns the wrapped error.
func (l *Temporary) Unwrap() error { return l.Err }

// RefusalOf returns the error of a response that is not 200. what names the request. The
// error is Temporary for 429, 502, 503 and 504.
func RefusalOf(resp *http.Response, what string) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // on an error the problem has less text
	p := &Problem{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	if to := resp.Header.Get("Location"); to != "" {
		p.Detail = "it redirects to " + to
	}
	_ = json.Unmarshal(b, p) // if the body is not a problem, the status line stays
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

// Retry calls once until it succeeds, returns an error that is not Temporary, or has
// failed MaxTries times without progress. It passes the reason of each wait to say.
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
