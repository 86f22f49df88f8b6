package fcm

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"carillon.example/emulators/testcloud/check"
)

// A gatedConn is a connection whose writes wait to be let through, one by one.
type gatedConn struct {
	net.Conn
	open   chan error // what the next write ends with
	mu     sync.Mutex
	got    [][]byte
	closed bool
}

func newGatedConn() *gatedConn { return &gatedConn{open: make(chan error)} }

func (g *gatedConn) Write(b []byte) (int, error) {
	if err := <-g.open; err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.got = append(g.got, bytes.Clone(b))
	return len(b), nil
}

func (g *gatedConn) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		close(g.open)
	}
	return nil
}

func mustWrite(t *testing.T, c net.Conn, s string) {
	t.Helper()
	n, err := c.Write([]byte(s))
	check.Equal(t, n, len(s), "writing %.10q: bytes written", s)
	if err != nil {
		t.Errorf("writing %.10q: %v", s, err)
	}
}

func TestWritesAreJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGatedConn()
		j := coalesceWrites(g)
		mustWrite(t, j, "first ")
		synctest.Wait() // it is on its way
		for _, s := range []string{"what ", "comes ", "meanwhile"} {
			mustWrite(t, j, s)
		}

		g.open <- nil
		g.open <- nil
		synctest.Wait()
		j.Close()
		if got := string(bytes.Join(g.got, []byte("|"))); got != "first |what comes meanwhile" {
			t.Errorf("written: %q", got)
		}
	})
}

func TestJoinedWritesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGatedConn()
		j := coalesceWrites(g)
		mustWrite(t, j, "under way")
		synctest.Wait()
		mustWrite(t, j, strings.Repeat("x", maxPending))
		done := make(chan error)
		for range 2 {
			go func() {
				_, err := j.Write([]byte("y"))
				done <- err
			}()
		}

		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("a write went beyond the bound: %v", err)
		default:
		}

		g.open <- nil
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}

		go func() {
			_, err := j.Write(make([]byte, maxPending))
			done <- err
		}()
		if err := <-done; err != nil {
			t.Error(err)
		}

		go func() { _, err := j.Write([]byte("z")); done <- err }()
		synctest.Wait()
		j.Close() // a Write that waits for room fails
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write that waited when the connection was closed: %v", err)
		}
		if _, err := j.Write([]byte("z")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write to a closed connection: %v", err)
		}
	})
}

func TestAFailedWriteClosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGatedConn()
		j := coalesceWrites(g)
		mustWrite(t, j, "lost")
		broken := errors.New("broken")
		g.open <- broken
		synctest.Wait()
		if _, err := j.Write([]byte("more")); !errors.Is(err, broken) {
			t.Errorf("a later write: %v", err)
		}
		if !g.closed {
			t.Error("the connection is still open: whoever reads would wait for ever")
		}
	})
}

func TestAServerWithoutHTTP2IsNamed(t *testing.T) {
	t.Parallel()
	known := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(known.Close)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: known.TLS.Certificates}) // negotiates nothing
	if err != nil {
		t.Fatal(err)
	}

	srv := &http.Server{ErrorLog: quiet}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	s := newFastSender(t, Config{Endpoint: "https://" + l.Addr().String(), TLS: known.Client().Transport.(*http.Transport).TLSClientConfig})
	a := s.ProvePayload(t.Context(), compileTestMessage(t))
	check.Equal(t, a.Class, Waiting, "a.Class")
	if !strings.Contains(a.Text, "HTTP/2") {
		t.Errorf("a.Text = %q, want it to contain %q", a.Text, "HTTP/2")
	}
}
