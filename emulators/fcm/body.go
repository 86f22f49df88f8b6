package fcm

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxBody is the size of the largest request body that is read, in bytes.
const maxBody = 1 << 20

// bodies has buffers that requests are read into, so that each request does not allocate
// its own.
var bodies = sync.Pool{New: func() any { b := make([]byte, 0, 8192); return &b }}

// readBody returns the whole body of a request. A body above maxBody is a
// *http.MaxBytesError.
func readBody(r *http.Request) (string, error) {
	buf := bodies.Get().(*[]byte)
	defer bodies.Put(buf)
	b := (*buf)[:0]
	for len(b) <= maxBody {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		*buf = b
		if errors.Is(err, io.EOF) {
			return string(b), nil
		}
		if err != nil {
			return "", err
		}
	}

	return "", &http.MaxBytesError{Limit: maxBody}
}
