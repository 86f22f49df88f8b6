package fcm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// A worker carries one request at a time; its buffers and its patience are used
// again and again.
type worker struct {
	s        *Sender
	work     chan flight
	patience *patience
	end      time.Time // when the flight under way is broken off; zero: none is. Guarded by Sender.mu
	out, in  []byte
}

// A flight is one attempt of a job over a connection.
type flight struct {
	j      *job
	c      *conn
	header http.Header
	key    int // number of the key in header
	began  time.Time
}

// A result is what came of a flight.
type result struct {
	code       int    // 0: no answer
	body       []byte // whole, unless err is set; valid until the worker's next flight
	retryAfter string
	err        error
	unread     bool // FCM cannot have processed it
}

func (w *worker) run(f flight) {
	for ok := true; ok; {
		r := w.fly(f)
		if f, ok = w.s.landed(w, f, r); !ok {
			f, ok = <-w.work
		}
	}
}

func (w *worker) fly(f flight) result {
	j := f.j
	if j.topic {
		w.out = j.Message.appendBody(w.out[:0], j.DryRun, j.Customer, "topic", j.Target)
	} else {
		w.out = j.Message.appendBody(w.out[:0], j.DryRun, j.Customer, j.field(), j.Target)
	}
	b := &body{left: w.out}
	defer b.Close()
	req := w.s.request.WithContext(w.patience)
	req.Header, req.Body, req.ContentLength = f.header, b, int64(len(w.out))
	resp, err := f.c.cc.RoundTrip(req)
	if err != nil {
		return result{err: err, unread: !b.wasRead() || unprocessed(err)}
	}

	defer resp.Body.Close()
	w.in, err = readInto(w.in[:0], resp.Body)
	return result{code: resp.StatusCode, body: w.in, err: err, retryAfter: resp.Header.Get("Retry-After")}
}

// unprocessed reports whether the server said that it has not begun with the
// request. net/http does not export these errors, but for stream errors, so
// that the words are compared; TestGoAway holds them.
func unprocessed(err error) bool {
	if se, ok := errors.AsType[http2.StreamError](err); ok {
		return se.Code == http2.ErrCodeRefusedStream
	}
	switch err.Error() {
	case "http2: Transport received Server's graceful shutdown GOAWAY",
		"http2: client conn not usable", "http2: client conn could not be established":
		return true
	}
	return false
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

func readInto(b []byte, r io.Reader) ([]byte, error) {
	for len(b) < maxAnswer {
		if len(b) == cap(b) {
			b = append(b, make([]byte, max(cap(b), 512))...)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}

	return b, nil
}

// A body is a request's body in a worker's buffer. The transport may still hold
// it when the worker has gone on: once closed it is empty.
type body struct {
	mu   sync.Mutex
	left []byte
	read bool // to its end
}

// Read gives the end together with the last bytes, so that they go in one frame.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == nil {
		return 0, io.ErrClosedPipe
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	if len(b.left) > 0 {
		return n, nil
	}
	b.read = true
	return n, io.EOF
}

// Close takes the buffer away.
func (b *body) Close() error {
	b.mu.Lock()
	b.left = nil
	b.mu.Unlock()
	return nil
}

func (b *body) wasRead() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read
}

// A patience is the context of a worker's requests. It ends when the sender's
// watch finds a request overdue, which costs nothing as long as none is: no
// timer and no context a request.
type patience struct {
	context.Context // Background
	done            chan struct{}
}

func newPatience() *patience { return &patience{context.Background(), make(chan struct{})} }

// Done is closed when the patience has ended.
func (p *patience) Done() <-chan struct{} { return p.done }

// Err is DeadlineExceeded once it has ended.
func (p *patience) Err() error {
	select {
	case <-p.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// hurryLocked breaks the flight under way off at that time at the latest.
func (w *worker) hurryLocked(end time.Time) {
	if end.Before(w.end) {
		w.end = end
	}
}

// watchLocked breaks the flight off if it is overdue.
func (w *worker) watchLocked(now time.Time) {
	if !w.end.IsZero() && now.After(w.end) && w.patience.Err() == nil {
		close(w.patience.done)
	}
}

// name finds the message's name in FCM's answer to an accepted one; ok is false
// if the answer is no JSON object at all.
func name(body []byte) (name string, ok bool) {
	const key = `"name"`
	if i := bytes.Index(body, []byte(key)); i > 0 && body[0] == '{' {
		rest := bytes.TrimLeft(body[i+len(key):], " \t\r\n:")
		if len(rest) > 1 && rest[0] == '"' {
			if end := bytes.IndexAny(rest[1:], `"\`); end >= 0 && rest[1+end] == '"' {
				return string(rest[1 : 1+end]), true
			}
		}
	}

	var a struct{ Name json.RawMessage }
	if json.Unmarshal(body, &a) != nil {
		return "", false
	}
	return text(a.Name), len(body) > 0 && bytes.TrimLeft(body, " \t\r\n")[0] == '{'
}
