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

// silent drops the log of net/http about broken connections, because the emulator breaks
// them on purpose.
var silent = log.New(io.Discard, "", 0)

// connectionKey is the key of the number of requests of a connection, in the context of
// a request.
type connectionKey struct{}

func newConnection(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, new(atomic.Int64))
}

// countConnection counts connections that open and close.
func (s *Server) countConnection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.counts.update(func(st *Stats) { st.ConnectionsAccepted++; st.OpenConnections++ })
	case http.StateClosed, http.StateHijacked:
		s.counts.update(func(st *Stats) { st.OpenConnections-- })
	}
}

// retireConnection closes a connection after a number of requests; 0 means never.
// net/http turns the header into a graceful GOAWAY on HTTP/2, which lets the requests
// under way end.
func retireConnection(w http.ResponseWriter, r *http.Request, after int) {
	if after == 0 {
		return
	}
	n, ok := r.Context().Value(connectionKey{}).(*atomic.Int64)
	if ok && n.Add(1) >= int64(after) {
		w.Header().Set("Connection", "close")
	}
}

// resetStream breaks the carrier of the request: the connection by TCP RST with
// HTTP/1.1, the stream by RST_STREAM with HTTP/2. It panics with http.ErrAbortHandler,
// so it does not return.
func resetStream(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			if t, ok := conn.(*tls.Conn); ok {
				conn = t.NetConn()
			}
			if t, ok := conn.(*net.TCPConn); ok {
				_ = t.SetLinger(0) // otherwise the peer sees a normal end
			}
			_ = conn.Close()
		}
	}
	panic(http.ErrAbortHandler)
}

// certificateNames are the host names of the server. The names of Google are for clients
// that reach the server only through a hosts entry or a proxy.
var certificateNames = []string{"localhost", "fcm.googleapis.com", "iid.googleapis.com", "oauth2.googleapis.com"}

// throwAwayCertificate returns a new certificate for the loopback names, Google's hosts
// and the address of the listener. Its key is never stored.
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
		return tls.Certificate{}, nil, fmt.Errorf("reading the new certificate: %w", err)
	}

	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool, nil
}
