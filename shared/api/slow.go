package api

import (
	"errors"
	"net/http"
	"os"
	"time"
)

// bodyTimeout is how long a caller may take to send a body.
const bodyTimeout = 30 * time.Second

// Refuse prepares an answer to a request whose body nobody reads: the connection
// ends with the answer, and net/http does not wait for the rest of the body before
// it. Call it before the answer begins.
func Refuse(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	w.Header().Set("Connection", "close")
	// Not every connection has deadlines; those of HTTP/1.1 do.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now())
}

// receiving gives the connection a deadline for the body, and answers what takes it
// away again: with it, the connection would end later requests.
func receiving(w http.ResponseWriter, within time.Duration) (done func()) {
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(within)) != nil {
		return func() {}
	}
	return func() { _ = rc.SetReadDeadline(time.Time{}) }
}

// tooSlow reports whether a body was cut off by the deadline.
func tooSlow(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
