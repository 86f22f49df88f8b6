package fcm

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// dialTimeout is the timeout of connecting by TCP, and of the TLS handshake.
const dialTimeout = 10 * time.Second

// newTransport makes the transport of one connection.
func (c Config) newTransport(t endpoint) *http.Transport {
	tr := &http.Transport{
		DialContext:         c.dialPlain,
		TLSClientConfig:     c.TLS.Clone(), // through a proxy
		TLSHandshakeTimeout: dialTimeout,
		DisableCompression:  true,
		Protocols:           new(http.Protocols),
		// A ping finds a connection that has died silently.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
	}
	// dialTLS does not return a *tls.Conn. net/http therefore treats the connection
	// as one without TLS, and has to be told that the server speaks HTTP/2.
	tr.Protocols.SetUnencryptedHTTP2(true)
	if t.url.Scheme == "https" {
		tr.Protocols.SetHTTP2(true)
		tr.Proxy = http.ProxyFromEnvironment
		tr.DialTLSContext = c.dialTLS
	}

	return tr
}

// dialPlain opens a connection without TLS: to an emulator, or through a proxy.
func (c Config) dialPlain(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return coalesceWrites(conn), nil
}

// dialTLS opens a connection with TLS, and coalesces writes above TLS, so that messages share TLS records as well.
func (c Config) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}

	conn, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}

	conf := &tls.Config{}
	if c.TLS != nil {
		conf = c.TLS.Clone()
	}

	conf.ServerName = cmp.Or(conf.ServerName, host)
	conf.NextProtos = []string{"h2"}
	secure := tls.Client(conn, conf)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	if p := secure.ConnectionState().NegotiatedProtocol; p != "h2" {
		conn.Close()
		return nil, fmt.Errorf("%s does not support HTTP/2", address)
	}

	return coalesceWrites(secure), nil
}
