// Package auth stands in for Firebase Auth on a laptop and in tests. It issues
// ID tokens as Google's servers do, serves the certificates by which their
// signatures are checked, and answers whether an account still stands. Every
// user id has an account until it is said to be disabled or deleted.
package auth

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"carillon.example/emulators/loopback"
)

// Options are what a server can be told.
type Options struct {
	Project string           // whose tokens it issues; "": demo-carillon
	Now     func() time.Time // nil: time.Now
}

// An Account is what is known of a user id.
type Account struct {
	Tenant     string    `json:"tenant"` // where alone it is found; "": in the project itself
	Disabled   bool      `json:"disabled"`
	Deleted    bool      `json:"deleted"`
	ValidSince time.Time `json:"validSince"` // tokens issued before are revoked
}

// A Server is Firebase Auth for one project; safe for concurrent use.
type Server struct {
	project string
	now     func() time.Time
	key     *rsa.PrivateKey
	keyID   string
	cert    string // PEM
	ln      net.Listener
	srv     *http.Server

	mu       sync.Mutex
	accounts map[string]Account
	broken   bool
	asked    int
}

// Start serves on addr (port 0: any) until Close.
func Start(addr string, o Options) (*Server, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making the signing key: %w", err)
	}

	s := &Server{project: cmp.Or(o.Project, "demo-carillon"), now: o.Now, key: key, accounts: map[string]Account{}}
	if s.now == nil {
		s.now = time.Now
	}

	s.keyID = "key-" + rand.Text()
	if s.cert, err = certificate(key); err != nil {
		return nil, err
	}
	if s.ln, err = net.Listen("tcp", addr); err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}

	s.srv = &http.Server{Handler: loopback.Doors(s.adminHandler()), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.srv.Serve(s.ln) }() // ends with Close
	return s, nil
}

// Close ends the server.
func (s *Server) Close() { s.srv.Close() }

// Addr is what FIREBASE_AUTH_EMULATOR_HOST takes.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Set says what is known of a user id from now on.
func (s *Server) Set(uid string, a Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[uid] = a
}

// Break makes every answer a 403 until it is called with false: an outage that
// no client tries to sit out.
func (s *Server) Break(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

// Asked is how often the certificates were asked for.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// certificate is a self-signed one around a key, as PEM.
func certificate(key *rsa.PrivateKey) (string, error) {
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
