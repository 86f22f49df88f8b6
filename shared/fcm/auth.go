package fcm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// oauthScope is the OAuth scope that FCM needs.
const oauthScope = "https://www.googleapis.com/auth/firebase.messaging"

const (
	// refreshBefore is how long before its expiry a token is replaced.
	refreshBefore = 5 * time.Minute
	// expiryMargin is how long before its expiry a token is not used any more.
	expiryMargin = 10 * time.Second
	// fetchPause is the shortest time between two fetches.
	fetchPause = 30 * time.Second
)

// An accessToken has our credentials for the header of requests. It is replaced
// before it expires, while sending goes on. Sender.mu guards it.
type accessToken struct {
	fetch     func() (*oauth2.Token, error) // nil: requests have no credentials
	header    http.Header                   // all requests share it; it is never changed
	number    int                           // number of the token, counted from the first
	accepted  int                           // number of the last token with which FCM accepted a message
	expiry    time.Time                     // zero: never
	fetching  bool                          // a fetch is under way
	refused   bool                          // FCM refused it: nothing is sent before the next one is fetched
	fetchedAt time.Time                     // when the last fetch ended
	broken    error                         // why fetching failed for good: refused, not just out of reach
}

// newAccessToken finds the credentials for t.
func newAccessToken(ctx context.Context, c Config, t endpoint) (accessToken, error) {
	k := accessToken{header: requestHeader(nil)}
	if !t.google {
		return k, nil
	}
	if c.TokenSource != nil {
		k.fetch = c.TokenSource.Token
		return k, nil
	}

	// ctx may end when New has returned, but tokens are fetched as long as the sender lives.
	lasting := context.WithoutCancel(ctx)
	if _, err := google.FindDefaultCredentials(lasting, oauthScope); err != nil {
		return k, fmt.Errorf("fcm: credentials for %s: %w", googleHost, err)
	}

	// A source of default credentials keeps its token until shortly before it expires. A
	// new source for each fetch makes sure that the token is a new one.
	k.fetch = func() (*oauth2.Token, error) {
		found, err := google.FindDefaultCredentials(lasting, oauthScope)
		if err != nil {
			return nil, err
		}
		return found.TokenSource.Token()
	}

	return k, nil
}

// requestHeader returns the header of requests with an access token, or without credentials
// if it is nil.
func requestHeader(t *oauth2.Token) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"carillon"}}
	if t != nil {
		h.Set("Authorization", t.Type()+" "+t.AccessToken)
	}
	return h
}

// ensureAccessTokenLocked reports whether requests can be sent with the current access token.
// If there is none, or it expires soon, it starts a goroutine that fetches the next one.
func (s *Sender) ensureAccessTokenLocked(now time.Time) bool {
	k := &s.credentials
	if k.fetch == nil {
		return true
	}

	have := k.number > 0 && !k.refused && (k.expiry.IsZero() || now.Before(k.expiry.Add(-expiryMargin)))
	ending := k.number == 0 || k.refused || !k.expiry.IsZero() && now.After(k.expiry.Add(-refreshBefore))

	// fetching makes sure that one goroutine fetches at a time. A token that is still good
	// is not fetched again and again while that fails.
	if ending && !k.fetching && (!have || now.Sub(k.fetchedAt) > fetchPause) && k.broken == nil {
		k.fetching = true
		go s.fetchAccessToken()
	}
	return have
}

// recordAccessTokenRefusalLocked records that FCM refused the access token with that number,
// with this HTTP status, and reports whether another try makes sense. It does not if the token is
// good and our account has no permission in one of several projects: to fetch another
// one would delay the other projects.
func (s *Sender) recordAccessTokenRefusalLocked(number, status int, now time.Time) bool {
	k := &s.credentials
	switch {
	case k.fetch == nil || k.broken != nil:
		return false
	case number < k.number:
		return true // there is a newer one
	case status == http.StatusForbidden && len(s.projects) > 1 && number == k.accepted:
		return false
	case k.number > 1 && !k.fetching && now.Sub(k.fetchedAt) < fetchPause:
		return false // it was just fetched
	}

	k.refused = true
	return true
}

// fetchAccessToken fetches an access token, and starts the jobs that waited for it. If there
// are no credentials, or Google refuses them, the jobs are answered with this error for
// fetchPause. If Google is out of reach and the current token cannot be used, all projects
// are held.
func (s *Sender) fetchAccessToken() {
	// Not under the lock: it asks a server. fetch does not change after New.
	t, err := s.credentials.fetch()

	// The lock guards the credentials, which requests are sent with.
	s.mu.Lock()
	now := time.Now()
	k := &s.credentials
	k.fetching, k.fetchedAt, k.broken = false, now, nil
	var out deferredAnswers
	switch {
	case err == nil:
		k.header, k.expiry, k.refused = requestHeader(t), t.Expiry, false
		k.number++
	case isPermanent(err):
		// The error is kept, so that messages that wait fail with it at once.
		k.broken = fmt.Errorf("no credentials for %s: %w", googleHost, err)
		time.AfterFunc(fetchPause, s.clearBrokenToken)
	case k.number == 0 || k.refused || now.After(k.expiry.Add(-expiryMargin)):
		out = s.holdLocked(now, now.Add(firstWait), "credentials are out of reach: "+err.Error())
	}

	s.mu.Unlock()
	out.giveAll()
	s.startReadyJobs()
}

// clearBrokenToken forgets the error of a fetch, so that the next job fetches again.
func (s *Sender) clearBrokenToken() {
	s.mu.Lock() // guards the credentials
	s.credentials.broken = nil
	s.mu.Unlock()
}

// isPermanent reports whether another fetch is useless: the credentials are missing
// or were refused.
func isPermanent(err error) bool {
	var r *oauth2.RetrieveError
	if errors.As(err, &r) && r.Response != nil {
		return r.Response.StatusCode >= 400 && r.Response.StatusCode < 500 && r.Response.StatusCode != 429 && r.Response.StatusCode != 408
	}
	return false
}
