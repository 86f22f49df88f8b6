package api

import (
	"errors"
	"net/http"
	"os"
	"time"
)

// bodyTimeout is how long a body may take to arrive.
const bodyTimeout = 30 * time.Second

// Refuse prepares the answer to a request whose body is not read. The connection ends
// with the answer, and net/http does not wait for the rest of the body. Call it before
// the answer begins.
func Refuse(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	w.Header().Set("Connection", "close")
	// Not every connection has deadlines; those of HTTP/1.1 do.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now())
}

// setBodyDeadline sets the read deadline of the connection, and returns the function that
// removes it. A deadline that stayed would end later requests of the connection. A
// connection without deadlines is left as it is.
func setBodyDeadline(w http.ResponseWriter, within time.Duration) (remove func()) {
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(within)) != nil {
		return func() {}
	}
	return func() { _ = rc.SetReadDeadline(time.Time{}) }
}

// tooSlow reports whether err of reading a body comes from its deadline.
func tooSlow(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
