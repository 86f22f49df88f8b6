package fcm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	emulated "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
)

// A tokenMint makes tokens that last an hour and says how many it made.
type tokenMint struct {
	made atomic.Int32
	fail func(n int32) error
}

func (m *tokenMint) Token() (*oauth2.Token, error) {
	n := m.made.Add(1)
	if m.fail != nil {
		if err := m.fail(n); err != nil {
			return nil, err
		}
	}
	return &oauth2.Token{AccessToken: fmt.Sprint("key-", n), Expiry: time.Now().Add(time.Hour)}, nil
}

// newSenderAtGoogle is a sender that believes it speaks to Google's host; to be used
// within synctest.Test.
func newSenderAtGoogle(t *testing.T, source oauth2.TokenSource, handle http.HandlerFunc, others ...Project) (s *Sender, end func()) {
	t.Helper()
	cert, roots := newCertificate(t)
	p := newPipe()
	srv := &http.Server{ErrorLog: quiet, Handler: handle, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	go srv.ServeTLS(p, "", "")
	s, err := New(t.Context(), Config{Project: "p", Projects: others, TokenSource: source, TLS: clientTLS(roots), dial: p.dial})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() { s.Close(); srv.Close() }
}

func newCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{googleHost}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}

	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}

	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// handlerByToken answers 200 to one key and with a refusal to all others; "" is any key.
func handlerByToken(good string, refusal int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch got := r.Header.Get("Authorization"); {
		case good == "" && got != "", got == "Bearer "+good:
			writeReply(w, r, 200, taken)
		default:
			writeReply(w, r, refusal, fmt.Sprintf(`{"error":{"code":%d,"status":"PERMISSION_DENIED","message":"no: %s"}}`, refusal, got))
		}
	}
}

func TestCredentialsAreReplacedEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &tokenMint{}
		s, end := newSenderAtGoogle(t, m, handlerByToken("", 401))
		defer end()
		b := newAnswerBook(t, s)
		for i := range 13 { // two hours
			b.sendTarget(t.Context(), testToken(i), time.Time{})
			b.countClasses()
			a := b.answerOf(testToken(i))
			if a.Class != Accepted {
				t.Fatalf("after %d minutes: a.Class = %v, want %v", i*10, a.Class, Accepted)
			}
			if a.Attempts != 1 {
				t.Fatalf("after %d minutes: a.Attempts = %v, want 1", i*10, a.Attempts)
			}
			time.Sleep(10 * time.Minute)
		}

		if n := m.made.Load(); n != 3 {
			t.Errorf("%d tokens in 130 minutes, each lasts an hour less five minutes", n)
		}
	})
}

func TestRefusedCredentialsAreRefreshedOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []int{401, 403} {
		synctest.Test(t, func(t *testing.T) {
			m := &tokenMint{}
			s, end := newSenderAtGoogle(t, m, handlerByToken("key-2", code))
			defer end()
			b := newAnswerBook(t, s)
			b.sendMany(t.Context(), 200, time.Time{})
			if got := b.countClasses(); got[Accepted] != 200 {
				t.Errorf("%d: outcomes %v", code, got)
			}
			if n := m.made.Load(); n != 2 {
				t.Errorf("%d: %d tokens", code, n)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			m := &tokenMint{}
			s, end := newSenderAtGoogle(t, m, handlerByToken("none", code))
			defer end()
			b := newAnswerBook(t, s)
			b.sendMany(t.Context(), 200, time.Time{})
			if got := b.countClasses(); got[Misconfigured] != 200 {
				t.Errorf("%d: outcomes %v", code, got)
			}

			a := b.answerOf(testToken(0))
			check.Equal(t, a.Attempts, 2, "%d: a.Attempts", code)
			check.Equal(t, a.HTTP, code, "%d: a.HTTP", code)
			if a.Text == "" {
				t.Errorf("%d: a.Text is empty", code)
			}
			if n := m.made.Load(); n != 2 {
				t.Errorf("%d: %d tokens", code, n)
			}
			if p := s.ProvePayload(t.Context(), b.m); p.Class != Misconfigured {
				t.Errorf("%d: proof %+v", code, p)
			}
		})
	}
}

func TestCredentialsCannotBeHad(t *testing.T) {
	t.Parallel()
	refused := &oauth2.RetrieveError{Response: &http.Response{StatusCode: 400}, ErrorCode: "invalid_grant"}
	for name, c := range map[string]struct {
		fail func(int32) error
		want AnswerClass
	}{
		"refused":               {func(int32) error { return refused }, Misconfigured},
		"out of reach":          {func(int32) error { return errors.New("no route") }, Waiting},
		"out of reach at first": {func(n int32) error { return map[bool]error{true: errors.New("no route")}[n == 1] }, Accepted},
	} {
		t.Run(name, func(t *testing.T) {

			synctest.Test(t, func(t *testing.T) {
				s, end := newSenderAtGoogle(t, &tokenMint{fail: c.fail}, handlerByToken("", 401))
				defer end()
				b := newAnswerBook(t, s)
				b.sendMany(t.Context(), 50, time.Now().Add(25*time.Second))
				if got := b.countClasses(); got[c.want] != 50 {
					t.Errorf("%s: outcomes %v: %+v", name, got, b.answerOf(testToken(0)))
				}
			})
		})
	}
}

// TestCredentialsStayAtHome: only Google gets them.
func TestCredentialsStayAtHome(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	synctest.Test(t, func(t *testing.T) {
		s, end := newPipedSender(t, Config{TokenSource: &tokenMint{}}, func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Header.Get("Authorization")
			writeReply(w, r, 200, taken)
		})
		defer end()
		b := newAnswerBook(t, s)
		b.sendTarget(t.Context(), "a", time.Time{})
		b.countClasses()
		if got := <-seen; got != "" {
			t.Errorf("another host saw %q", got)
		}
	})
	srv := startFCM(t, emulated.Options{RequireAuth: true, TLS: true})
	m := &tokenMint{}
	s := newFastSender(t, Config{Endpoint: srv.URL(), TokenSource: m, TLS: clientTLS(srv.CertPool())})
	b := newAnswerBook(t, s)
	b.sendTarget(t.Context(), testToken(1), time.Time{})
	got := b.countClasses()
	check.Equal(t, got[Misconfigured], 1, "answers misconfigured")
	check.Equal(t, m.made.Load(), 0, "access tokens made")
}
