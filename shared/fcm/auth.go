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

const scope = "https://www.googleapis.com/auth/firebase.messaging"

const (
	// early is how long before its end a token is replaced.
	early = 5 * time.Minute
	// late is how long before its end a token is not used any more.
	late = 10 * time.Second
	// patient is how long after a fetch the next one is made, at least.
	patient = 30 * time.Second
)

// A key is our credentials as they are attached to requests. It is replaced
// before it ends, beside the sending. Guarded by Sender.mu.
type key struct {
	fetch    func() (*oauth2.Token, error) // nil: none are attached
	header   http.Header                   // shared by all requests, never changed
	number   int                           // of tokens so far
	expiry   time.Time                     // zero: never
	fetching bool
	forced   bool      // FCM refused it: nothing is sent before the next one is there
	tried    time.Time // when the last fetch ended
	broken   error     // why there is none and will be none: refused, not out of reach
}

// newKey finds the credentials for t.
func newKey(ctx context.Context, c Config, t target) (key, error) {
	k := key{header: headers(nil)}
	if !t.google {
		return k, nil
	}
	if c.TokenSource != nil {
		k.fetch = c.TokenSource.Token
		return k, nil
	}
	// The sources of default credentials keep their token until shortly before
	// its end; a new source fetches a new one.
	lasting := context.WithoutCancel(ctx)
	if _, err := google.FindDefaultCredentials(lasting, scope); err != nil {
		return k, fmt.Errorf("fcm: credentials for %s: %w", googleHost, err)
	}

	k.fetch = func() (*oauth2.Token, error) {
		found, err := google.FindDefaultCredentials(lasting, scope)
		if err != nil {
			return nil, err
		}
		return found.TokenSource.Token()
	}

	return k, nil
}

func headers(t *oauth2.Token) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"carillon"}}
	if t != nil {
		h.Set("Authorization", t.Type()+" "+t.AccessToken)
	}
	return h
}

// usableLocked reports whether requests can be sent with the key as it is, and sees
// to it that it is replaced in time.
func (s *Sender) usableLocked(now time.Time) bool {
	k := &s.key
	if k.fetch == nil {
		return true
	}
	have := k.number > 0 && !k.forced && (k.expiry.IsZero() || now.Before(k.expiry.Add(-late)))
	ending := k.number == 0 || k.forced || !k.expiry.IsZero() && now.After(k.expiry.Add(-early))
	if ending && !k.fetching && (!have || now.Sub(k.tried) > patient) && k.broken == nil {
		k.fetching = true
		go s.fetchKey()
	}
	return have
}

// refusedLocked takes note that FCM refused the key with that number, and reports
// whether another attempt makes sense.
func (s *Sender) refusedLocked(number int, now time.Time) bool {
	k := &s.key
	switch {
	case k.fetch == nil || k.broken != nil:
		return false
	case number < k.number:
		return true // a newer one is there
	case k.number > 1 && !k.fetching && now.Sub(k.tried) < patient:
		return false // it is new
	}
	k.forced = true
	return true
}

func (s *Sender) fetchKey() {
	t, err := s.key.fetch()
	s.mu.Lock()
	now := time.Now()
	k := &s.key
	k.fetching, k.tried, k.broken = false, now, nil
	var out answers
	switch {
	case err == nil:
		k.header, k.expiry, k.forced = headers(t), t.Expiry, false
		k.number++
	case lasting(err):
		// Told so for a while, so that whoever waits hears of it.
		k.broken = fmt.Errorf("no credentials for %s: %w", googleHost, err)
		time.AfterFunc(patient, s.mendKey)
	case k.number == 0 || k.forced || now.After(k.expiry.Add(-late)):
		out = s.holdLocked(now, now.Add(firstWait), "credentials are out of reach: "+err.Error())
	}

	s.mu.Unlock()
	out.call()
	s.kick()
}

func (s *Sender) mendKey() {
	s.mu.Lock()
	s.key.broken = nil
	s.mu.Unlock()
}

// lasting reports whether fetching again is of no use: the credentials are
// missing or were refused.
func lasting(err error) bool {
	var r *oauth2.RetrieveError
	if errors.As(err, &r) && r.Response != nil {
		return r.Response.StatusCode >= 400 && r.Response.StatusCode < 500 && r.Response.StatusCode != 429 && r.Response.StatusCode != 408
	}
	return false
}
