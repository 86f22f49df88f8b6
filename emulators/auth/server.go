// Package auth is an emulator of Firebase Auth for local runs and tests. Apps sign up and
// sign in with an SDK (connectAuthEmulator), with an e-mail address and a password,
// anonymously or with a custom token. Servers manage accounts with an Admin SDK. The paths
// and the answers are those of the Auth emulator of Google's suite; COMPAT.md lists what
// is there.
//
// Token issues an ID token for a user id without a sign-in, signed as Google's servers
// sign, and the server has the certificates that verify the signatures.
package auth

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"carillon.example/emulators/loopback"
)

// Options configure a Server. The zero value is valid.
type Options struct {
	Project string           // project of the tokens; "": demo-carillon
	Now     func() time.Time // nil: time.Now
	// Snapshot is what Save of another server wrote: the server starts with these accounts.
	// nil: it starts without any.
	Snapshot io.Reader
}

// An Account is the state of a user id of the project of Options.
type Account struct {
	Tenant     string    `json:"tenant"` // the only tenant that has the account; "": the project itself
	Disabled   bool      `json:"disabled"`
	Deleted    bool      `json:"deleted"`
	ValidSince time.Time `json:"validSince"` // tokens issued before this time are revoked
}

// A Server is Firebase Auth. Apps belong to one project, servers name theirs. It is safe
// for concurrent use.
type Server struct {
	project string // that of apps
	now     func() time.Time
	key     *rsa.PrivateKey
	keyID   string
	cert    string // PEM
	ln      net.Listener
	srv     *http.Server
	loaded  int // accounts that Options.Snapshot had

	// mu guards the fields below.
	mu                  sync.Mutex
	realms              map[realmKey]*realm
	changes             uint64 // what Changes returns
	broken              bool
	certificateRequests int
}

// Start serves on addr until Close. Port 0 selects a free port. It fails when addr is in use, or
// when Snapshot is not complete.
func Start(addr string, o Options) (*Server, error) {
	s := &Server{project: cmp.Or(o.Project, "demo-carillon"), now: o.Now, realms: map[realmKey]*realm{}}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.loadSnapshot(o.Snapshot); err != nil {
		return nil, err
	}

	var err error
	if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, fmt.Errorf("making the signing key: %w", err)
	}
	s.keyID = "key-" + rand.Text()
	if s.cert, err = makeCertificate(s.key); err != nil {
		return nil, err
	}
	if s.ln, err = net.Listen("tcp", addr); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}

	s.srv = &http.Server{Handler: loopback.ShareWithLocalPages(s.routes()), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.srv.Serve(s.ln) }() // Serve returns after Close
	return s, nil
}

// Close stops the server.
func (s *Server) Close() { s.srv.Close() }

// Addr returns host:port, the value for FIREBASE_AUTH_EMULATOR_HOST.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Set says which account a user id of the project has, and that it has no other one. An
// account that signed up keeps its e-mail address and its password.
func (s *Server) Set(uid string, to Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.openRealm(realmKey{project: s.project}).set[uid] = true
	for key, m := range s.realms {
		if a := m.accounts[uid]; a != nil && key.project == s.project && (to.Deleted || key.tenant != to.Tenant) {
			m.remove(a)
		}
	}
	if to.Deleted {
		return
	}

	a := s.ensureAccount(realmKey{s.project, to.Tenant}, uid)
	a.Disabled, a.ValidSince = new(to.Disabled), ""
	if !to.ValidSince.IsZero() {
		a.ValidSince = seconds(to.ValidSince)
	}
}

// ensureAccount returns the account of a user id, and creates it first if there is none.
// The caller holds s.mu.
func (s *Server) ensureAccount(key realmKey, uid string) *account {
	m := s.openRealm(key)
	a := m.accounts[uid]
	if a == nil {
		a = &account{LocalID: uid}
		m.add(a, s.now())
	}
	return a
}

// Break(true) makes the server answer every request with 403, until
// Break(false). It simulates an outage that clients do not retry.
func (s *Server) Break(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

// Asked returns how often the certificates were requested.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.certificateRequests
}

// makeCertificate returns a self-signed certificate for a key, as PEM.
func makeCertificate(key *rsa.PrivateKey) (string, error) {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "securetoken.system.gserviceaccount.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return "", fmt.Errorf("making the certificate: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
