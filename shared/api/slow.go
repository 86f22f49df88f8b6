package api

import (
	"errors"
	"net/http"
	"os"
	"time"
)

// bodyTimeout is how long a body may take to arrive.
const bodyTimeout = 30 * time.Second

// Refuse prepares an answer to a request whose body is not read: the connection ends
// with the answer, and net/http does not wait for the rest of the body. Call it
// before the answer begins.
func Refuse(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	w.Header().Set("Connection", "close")
	// Not every connection has deadlines; those of HTTP/1.1 do.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now())
}

// receiving sets a deadline of the connection for the body, and returns what removes
// it again. If it stayed, it would end later requests of the connection.
func receiving(w http.ResponseWriter, within time.Duration) (done func()) {
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(within)) != nil {
		return func() {}
	}
	return func() { _ = rc.SetReadDeadline(time.Time{}) }
}

// tooSlow reports whether a body was cut off by the deadline.
func tooSlow(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
