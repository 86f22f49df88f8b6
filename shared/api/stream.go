package api

import (
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Stream answers with pages of lines of a media type, compressed if the caller accepts
// gzip. write writes the page that was read; next reads the following one, and reports
// whether there is one. After an error the connection is closed, so that the caller
// does not take a part for the whole, and failed gets the error. Read the first page
// before, so that an error of it can still be answered.
func Stream(h huma.Context, mediaType, acceptEncoding string, failed func(error), write func(io.Writer) error, next func() (more bool, err error)) {
	h.SetHeader("Content-Type", mediaType)
	h.SetHeader("Vary", "Accept-Encoding")
	if h.Method() == http.MethodHead {
		return
	}

	w, end := h.BodyWriter(), func() error { return nil }
	if WantsGzip(acceptEncoding) {
		h.SetHeader("Content-Encoding", "gzip")
		z := Zip(w)
		w, end = z, z.Close // not called after an error, so that the part does not look complete
	}
	for more := true; more; {
		err := write(w)
		if f, ok := w.(http.Flusher); ok && err == nil {
			f.Flush() // the caller gets this page, whatever becomes of the next one
		}
		if err == nil {
			more, err = next()
		}
		if err != nil {
			failed(err)
			panic(http.ErrAbortHandler)
		}
	}
	_ = end() // an error means that the caller has gone
}
