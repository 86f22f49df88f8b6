// Package auth is an emulator of Firebase Auth for local runs and tests. It
// issues ID tokens as Google's servers do. It serves the certificates that
// verify their signatures. It answers account lookups. Every user id has an
// account until Set disables or deletes it.
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
	// Snapshot is what Save of another server of the same project wrote: the server starts with
	// these accounts. nil: it starts without any.
	Snapshot io.Reader
}

// An Account is the state of a user id.
type Account struct {
	Tenant     string    `json:"tenant"` // the only tenant that has the account; "": the project itself
	Disabled   bool      `json:"disabled"`
	Deleted    bool      `json:"deleted"`
	ValidSince time.Time `json:"validSince"` // tokens issued before this time are revoked
}

// A Server is Firebase Auth for one project. It is safe for concurrent use.
type Server struct {
	project string
	now     func() time.Time
	key     *rsa.PrivateKey
	keyID   string
	cert    string // PEM
	ln      net.Listener
	srv     *http.Server
	loaded  int // accounts that Options.Snapshot had

	// mu guards the fields below.
	mu       sync.Mutex
	accounts map[string]Account
	changes  uint64 // of accounts
	broken   bool
	asked    int
}

// Start serves on addr until Close. Port 0 selects a free port. It fails when addr is in use, or
// when Snapshot is not complete or of another project.
func Start(addr string, o Options) (*Server, error) {
	s := &Server{project: cmp.Or(o.Project, "demo-carillon"), now: o.Now, accounts: map[string]Account{}}
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

	s.srv = &http.Server{Handler: loopback.Protect(s.adminHandler()), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.srv.Serve(s.ln) }() // Serve returns after Close
	return s, nil
}

// Close stops the server.
func (s *Server) Close() { s.srv.Close() }

// Addr returns host:port, the value for FIREBASE_AUTH_EMULATOR_HOST.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Set replaces the account of a user id.
func (s *Server) Set(uid string, a Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[uid] = a
	s.changes++
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
	return s.asked
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
