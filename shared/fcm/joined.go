package fcm

import (
	"net"
	"runtime"
	"sync"
)

// A joined connection joins writes. net/http flushes the headers and the body of
// a request each by itself, which would be two TLS records and two system calls
// a message; here they go out together, and with those of all requests that are
// begun meanwhile. A Write that succeeds says only that the bytes are kept: when
// they cannot be written, the connection is closed and later Writes fail.
type joined struct {
	net.Conn

	mu      sync.Mutex
	change  sync.Cond // pending, err or closed have changed
	pending []byte
	err     error
	closed  bool
}

// joinMost is how many bytes may be kept before the next Write has to wait.
const joinMost = 64 << 10

// joinWrites takes conn over; its goroutine ends with Close or an error.
func joinWrites(conn net.Conn) *joined {
	j := &joined{Conn: conn}
	j.change.L = &j.mu
	go j.flush()
	return j
}

// Write keeps a copy of b, to be written soon.
func (j *joined) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.pending) >= joinMost && j.err == nil && !j.closed {
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

func (j *joined) flush() {
	var out []byte
	for {
		if out = j.take(out); len(out) == 0 {
			return
		}
		if _, err := j.Conn.Write(out); err != nil {
			j.fail(err)
			return
		}
	}
}

// take waits for something to write and swaps it for an empty buffer; nothing
// when the connection is closed.
func (j *joined) take(buf []byte) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.pending) == 0 && !j.closed {
		j.change.Wait()
	}

	j.mu.Unlock()
	runtime.Gosched() // whoever is ready to write does so before
	j.mu.Lock()
	if j.closed {
		return nil
	}

	buf, j.pending = j.pending, buf[:0]
	j.change.Broadcast()
	return buf
}

func (j *joined) fail(err error) {
	j.mu.Lock()
	j.err = err
	j.change.Broadcast()
	j.mu.Unlock()
	j.Conn.Close() // so that whoever reads learns of it
}

// Close closes the connection at once; what is kept is dropped.
func (j *joined) Close() error {
	j.mu.Lock()
	j.closed = true
	j.change.Broadcast()
	j.mu.Unlock()
	return j.Conn.Close()
}
