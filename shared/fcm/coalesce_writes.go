package fcm

import (
	"net"
	"runtime"
	"sync"
)

// A coalescingConn coalesces writes. net/http flushes the headers and the body of a
// request separately, which would be two TLS records and two system calls a message.
// Here they are written together, and with those of all requests that begin
// meanwhile. A Write that succeeds says only that the bytes are kept: if they cannot
// be written, the connection is closed and later Writes fail.
type coalescingConn struct {
	net.Conn

	mu      sync.Mutex // guards pending, err and closed, between Write and the goroutine of writePending
	change  sync.Cond  // signals that pending, err or closed changed
	pending []byte
	err     error
	closed  bool
}

// maxPending is how many bytes may be kept before the next Write has to wait.
const maxPending = 64 << 10

// coalesceWrites wraps conn. Its goroutine ends with Close or an error.
func coalesceWrites(conn net.Conn) *coalescingConn {
	j := &coalescingConn{Conn: conn}
	j.change.L = &j.mu
	go j.writePending()
	return j
}

// Write keeps a copy of b, to be written soon.
func (j *coalescingConn) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.pending) >= maxPending && j.err == nil && !j.closed {
		j.change.Wait()
	}

	switch {
	case j.err != nil:
		return 0, j.err
	case j.closed:
		return 0, net.ErrClosed
	case len(j.pending) == 0:
		j.change.Broadcast()
	}

	j.pending = append(j.pending, b...)
	return len(b), nil
}

// writePending writes what Write keeps, until the connection is closed or fails.
func (j *coalescingConn) writePending() {
	var out []byte
	for {
		if out = j.takePending(out); len(out) == 0 {
			return
		}
		if _, err := j.Conn.Write(out); err != nil {
			j.failWrites(err)
			return
		}
	}
}

// takePending waits for bytes to write and swaps them for an empty buffer. It returns
// nothing when the connection is closed.
func (j *coalescingConn) takePending(buf []byte) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.pending) == 0 && !j.closed {
		j.change.Wait()
	}

	// Goroutines that are ready to call Write do so first: their bytes go into the same
	// record. The lock is released for them.
	j.mu.Unlock()
	runtime.Gosched()
	j.mu.Lock()
	if j.closed {
		return nil
	}

	buf, j.pending = j.pending, buf[:0]
	j.change.Broadcast()
	return buf
}

// failWrites makes later Writes fail with an error of the connection.
func (j *coalescingConn) failWrites(err error) {
	j.mu.Lock()
	j.err = err
	j.change.Broadcast()
	j.mu.Unlock()
	j.Conn.Close() // so that readers get an error
}

// Close closes the connection at once. Kept bytes are dropped.
func (j *coalescingConn) Close() error {
	j.mu.Lock()
	j.closed = true
	j.change.Broadcast()
	j.mu.Unlock()
	return j.Conn.Close()
}
