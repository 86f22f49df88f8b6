package api

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const gzipKey = "gzip"

// TakesGzip returns op with bodies that may be compressed by gzip. The limit of the
// operation applies to the uncompressed body.
func TakesGzip(op huma.Operation) huma.Operation { return withMetadata(op, gzipKey, true) }

var errTooLarge = errors.New("it is too large when it is unpacked")

// unzip uncompresses a body. It returns errTooLarge if the result has limit bytes or
// more, and stops reading there: a small body may uncompress to gigabytes.
func unzip(b []byte, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(z, limit))
	if err == nil && int64(len(out)) >= limit {
		err = errTooLarge
	}
	return out, err
}

// WantsGzip reports whether the Accept-Encoding of a request allows gzip.
func WantsGzip(acceptEncoding string) bool {
	any, named := false, false
	for _, part := range strings.Split(acceptEncoding, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			weight, _ = strconv.ParseFloat(q, 64) // an invalid number counts as 0: not accepted
		}

		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip":
			return weight > 0
		case "*":
			any, named = weight > 0, true
		}
	}

	return named && any
}

// Zipped compresses what is written to it and writes the result to w. Close writes the
// end of the compressed data; it does not close w.
type Zipped struct {
	*gzip.Writer
	w io.Writer
}

// Zip returns a writer that compresses to w by gzip.
func Zip(w io.Writer) *Zipped { return &Zipped{gzip.NewWriter(w), w} }

// Flush writes everything so far to w, and flushes w if it is an HTTP response.
func (z *Zipped) Flush() {
	_ = z.Writer.Flush() // the next write returns the error
	if f, ok := z.w.(http.Flusher); ok {
		f.Flush()
	}
}
