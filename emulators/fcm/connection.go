package fcm

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// silent takes what net/http says about broken connections, which here are
// broken on purpose.
var silent = log.New(io.Discard, "", 0)

// connectionKey finds the connection's count of requests in a context.
type connectionKey struct{}

func newConnection(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, new(atomic.Int64))
}

// connection counts connections that come and go.
func (s *Server) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.counts.change(func(st *Stats) { st.ConnectionsAccepted++; st.OpenConnections++ })
	case http.StateClosed, http.StateHijacked:
		s.counts.change(func(st *Stats) { st.OpenConnections-- })
	}
}

// retire lets a connection go after its share of requests: net/http turns the
// header into a graceful GOAWAY on HTTP/2, which finishes what is under way.
func retire(w http.ResponseWriter, r *http.Request, after int) {
	if after == 0 {
		return
	}
	n, ok := r.Context().Value(connectionKey{}).(*atomic.Int64)
	if ok && n.Add(1) >= int64(after) {
		w.Header().Set("Connection", "close")
	}
}

// reset breaks what carries the request: a connection of HTTP/1.1 by TCP RST,
// on HTTP/2 the stream by RST_STREAM. It does not return.
func reset(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			if t, ok := conn.(*tls.Conn); ok {
				conn = t.NetConn()
			}
			if t, ok := conn.(*net.TCPConn); ok {
				_ = t.SetLinger(0) // without it the peer sees an orderly end
			}
			_ = conn.Close()
		}
	}
	panic(http.ErrAbortHandler)
}

// certificateNames are what clients may call the server: Google's own hosts are
// there for those that can only be led here by a hosts entry or a proxy.
var certificateNames = []string{"localhost", "fcm.googleapis.com", "iid.googleapis.com"}

// throwAwayCertificate makes a certificate for this machine's loopback names,
// Google's hosts and the address listened on, with a key that is never written
// down.
func throwAwayCertificate(addr net.Addr) (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("making a key: %w", err)
	}

	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "FCM emulator"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    certificateNames, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if t, ok := addr.(*net.TCPAddr); ok && !t.IP.IsUnspecified() {
		template.IPAddresses = append(template.IPAddresses, t.IP)
	}

	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("making a certificate: %w", err)
	}

	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("reading the certificate made: %w", err)
	}

	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool, nil
}
