// Package connmux serves gRPC and plain HTTP on one port.
package connmux

import (
	"bufio"
	"net"
	"sync"
	"time"
)

// peekTimeout is how long a new connection may stay silent before it is dropped.
const peekTimeout = 30 * time.Second

// A Mux accepts the connections of one listener. It passes a connection to GRPC when it
// starts with the HTTP/2 preface, and to HTTP otherwise.
type Mux struct {
	net.Listener
	GRPC, HTTP net.Listener // the listeners to serve on; they end with the Mux

	grpc, http *muxListener
}

// New returns a Mux of the connections of l. Call AcceptConns.
func New(l net.Listener) *Mux {
	newListener := func() *muxListener {
		return &muxListener{addr: l.Addr(), conns: make(chan net.Conn), done: make(chan struct{})}
	}
	m := &Mux{Listener: l, grpc: newListener(), http: newListener()}
	m.GRPC, m.HTTP = m.grpc, m.http
	return m
}

// AcceptConns accepts connections until the listener is closed. Each connection has its
// own goroutine, so that a silent one does not block the others.
func (m *Mux) AcceptConns() {
	for {
		c, err := m.Accept()
		if err != nil {
			m.grpc.stopAccepting()
			m.http.stopAccepting()
			return
		}
		go m.routeConn(c)
	}
}

// routeConn passes a connection to the server of its protocol, and closes it when the
// client sends nothing.
func (m *Mux) routeConn(c net.Conn) {
	r := bufio.NewReader(c)
	head, err := peekPreface(c, r)
	if err != nil {
		c.Close()
		return
	}
	to := m.http
	if string(head) == "PRI " { // "PRI * HTTP/2.0" opens every HTTP/2 connection
		to = m.grpc
	}
	to.deliverConn(&peekedConn{Conn: c, r: r})
}

// peekPreface returns the first four bytes of a connection without consuming
// them.
func peekPreface(c net.Conn, r *bufio.Reader) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(peekTimeout)); err != nil {
		return nil, err
	}
	head, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	return head, c.SetReadDeadline(time.Time{})
}

// A peekedConn returns the bytes that peekPreface has buffered before the rest
// of the connection.
type peekedConn struct {
	net.Conn
	r *bufio.Reader
}

func (p *peekedConn) Read(b []byte) (int, error) {
	if p.r != nil {
		if p.r.Buffered() > 0 {
			return p.r.Read(b)
		}
		p.r = nil
	}
	return p.Conn.Read(b)
}

// A muxListener is the listener from which one of the two servers accepts. once
// guards the close of done.
type muxListener struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *muxListener) deliverConn(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

// Accept waits for the next connection for this server.
func (l *muxListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Addr returns the address of the shared listener.
func (l *muxListener) Addr() net.Addr { return l.addr }

// Close makes Accept return net.ErrClosed.
func (l *muxListener) Close() error {
	l.stopAccepting()
	return nil
}

func (l *muxListener) stopAccepting() { l.once.Do(func() { close(l.done) }) }
