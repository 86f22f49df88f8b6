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

// RegisterFlags adds the flags for the URL and the token to f; where is the name of the flag
// for the URL. Client applies the default of the token: the help prints the defaults of
// flags, and would show it.
func (r *Remote) RegisterFlags(f *flag.FlagSet, where string) {
	f.StringVar(&r.URL, where, "http://127.0.0.1:5001", "URL of the API")
	f.StringVar(&r.Token, "token", "", "ID token for a deployment (default: the environment variable CARILLON_TOKEN)")
}

// Client returns a client of the API. It does not follow redirects, because that could
// send the token to another server. A redirect means that the API wants a sign-in, or https.
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

// bearer adds an ID token to requests: in the cloud, IAM accepts only callers that may
// invoke the function.
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
func (e *Temporary) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *Temporary) Unwrap() error { return e.Err }

// ResponseError returns the error of a response with an error status or a redirect. what names
// the request. The error is Temporary for 429, 502, 503 and 504.
func ResponseError(resp *http.Response, what string) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // if reading fails, the error only has less detail
	p := &Problem{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	if to := resp.Header.Get("Location"); to != "" {
		p.Detail = "the server redirects to " + to
	}
	_ = json.Unmarshal(b, p) // if the body is no problem document, status and title stay
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

// Retry calls attempt until it succeeds, fails with an error that is not Temporary, has
// failed MaxTries times in a row without progress, or ctx ends. Before each wait it calls
// report with the reason.
func Retry(ctx context.Context, pause time.Duration, report func(string), attempt func() (progressed bool, err error)) error {
	wait := pause
	for try := 1; ; try++ {
		progressed, err := attempt()
		temporary, isTemporary := errors.AsType[*Temporary](err) // false, too, if it succeeded
		if progressed {
			// This failure counts as the first one.
			try, wait = 1, pause
		}
		if !isTemporary || try == MaxTries || ctx.Err() != nil {
			return err
		}

		delay := max(wait, temporary.wait)
		report(fmt.Sprintf("%v; retrying in %v", err, delay))
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w while waiting to retry after this error: %w", ctx.Err(), err)
		case <-time.After(delay):
		}
		wait *= 2
	}
}
