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

// A worker makes one attempt at a time, in a goroutine of its own. Its buffers and its
// context are used again for each attempt, so that an attempt costs few allocations.
type worker struct {
	s               *Sender
	work            chan attempt
	ctx             *attemptContext
	cancelAt        time.Time // when the attempt under way is cancelled; zero: there is none. Sender.mu guards it
	request, answer []byte
}

// An attempt sends a job once over a connection.
type attempt struct {
	job               *job
	conn              *conn
	header            http.Header
	accessTokenNumber int // number of the access token in the header
	began             time.Time
}

// A response is what came back for an attempt: an answer of the server, or an error.
type response struct {
	status      int    // HTTP status; 0: no answer
	body        []byte // complete, unless err is set; valid until the next attempt of the worker
	retryAfter  string
	err         error
	unprocessed bool // FCM has not processed the request
}

// runAttempts makes the attempt f and all further ones, until the sender is closed.
func (w *worker) runAttempts(f attempt) {
	for ok := true; ok; {
		r := w.sendRequest(f)
		if f, ok = w.s.completeAttempt(w, f, r); !ok {
			f, ok = <-w.work
		}
	}
}

// sendRequest sends the request of an attempt and reads the answer. It blocks until both
// are done, or until watchOverdue ends w.ctx.
func (w *worker) sendRequest(f attempt) response {
	j := f.job
	field := j.targetField()
	if j.toTopic {
		field = "topic"
	}

	w.request = j.Message.appendBody(w.request[:0], j.DryRun, j.Customer, field, j.Target)

	b := &requestBody{left: w.request}
	defer b.Close()
	// WithContext copies the request of the project, which all its attempts share.
	req := j.project.request.WithContext(w.ctx)
	req.Header, req.Body, req.ContentLength = f.header, b, int64(len(w.request))
	resp, err := f.conn.cc.RoundTrip(req)
	if err != nil {
		return response{err: err, unprocessed: !b.wasRead() || isUnprocessed(err)}
	}

	defer resp.Body.Close()
	w.answer, err = readInto(w.answer[:0], resp.Body)
	return response{status: resp.StatusCode, body: w.answer, err: err, retryAfter: resp.Header.Get("Retry-After")}
}

// isUnprocessed reports whether the server said that it has not processed the request.
// net/http does not export these errors except stream errors, so their texts are
// compared; TestGoAway checks them.
func isUnprocessed(err error) bool {
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

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 64 << 10

// readInto appends to b what r has, up to maxAnswer bytes in all. With an error it returns
// what was read before.
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

// A requestBody is the body of a request in the buffer of a worker. net/http may still read
// it in another goroutine when RoundTrip has returned. The worker then uses the buffer for
// its next request, so it closes the body first: a closed body gives no more bytes.
type requestBody struct {
	mu   sync.Mutex // guards left and read, which net/http and the worker use at the same time
	left []byte     // what was not read yet; nil: closed. Once all was read, it is empty and not nil
	read bool       // it was read to its end
}

// Read returns io.EOF together with the last bytes, so that net/http sends the last bytes
// and the end of the stream in one frame.
func (b *requestBody) Read(p []byte) (int, error) {
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

// Close releases the buffer.
func (b *requestBody) Close() error {
	b.mu.Lock()
	b.left = nil
	b.mu.Unlock()
	return nil
}

// wasRead reports whether net/http has read the whole body: FCM may have got it.
func (b *requestBody) wasRead() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read
}

// An attemptContext is the context of the requests of a worker, one after the other. It has
// no deadline: watchOverdue ends it when a request is overdue. So no request needs a timer
// or a context of its own, which would cost allocations. An attemptContext that has ended
// is replaced before the next request (beginAttemptLocked).
type attemptContext struct {
	context.Context // Background
	done            chan struct{}
}

func newAttemptContext() *attemptContext {
	return &attemptContext{context.Background(), make(chan struct{})}
}

// Done is closed when the context has ended.
func (p *attemptContext) Done() <-chan struct{} { return p.done }

// Err is DeadlineExceeded once the context has ended.
func (p *attemptContext) Err() error {
	select {
	case <-p.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// shortenLocked makes sure that the attempt under way is cancelled at end at the latest.
func (w *worker) shortenLocked(end time.Time) {
	if end.Before(w.cancelAt) {
		w.cancelAt = end
	}
}

// cancelOverdueLocked cancels the attempt under way if it is overdue. Err says whether it was
// cancelled before: a channel can be closed only once.
func (w *worker) cancelOverdueLocked(now time.Time) {
	if !w.cancelAt.IsZero() && now.After(w.cancelAt) && w.ctx.Err() == nil {
		close(w.ctx.done)
	}
}

// messageName finds the name of the message in an accepting answer of FCM. ok is
// false if the answer is not a JSON object.
func messageName(body []byte) (name string, ok bool) {
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
	return jsonText(a.Name), len(body) > 0 && bytes.TrimLeft(body, " \t\r\n")[0] == '{'
}
