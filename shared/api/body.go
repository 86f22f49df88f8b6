package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Limits of bodies in bytes. Cloud Run itself takes 32 MB.
const (
	MaxBody   = 4 << 20
	MaxImport = 16 << 20
)

// body reads and checks a request's body before huma does, and puts it back.
func (a *API) body(w http.ResponseWriter, r *http.Request) *Problem {
	if r.Method == http.MethodGet || r.Method == http.MethodDelete || r.Method == http.MethodHead {
		return nil
	}
	limit := int64(MaxBody)
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	lines := kind == "application/x-ndjson"
	if lines {
		limit = MaxImport
	}
	b, err2 := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err2); ok {
		return &Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("at most %d bytes are taken", limit)}
	}
	if err2 != nil {
		return &Problem{Status: http.StatusBadRequest, Detail: "the body did not arrive whole"}
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	if len(b) == 0 && r.Header.Get("Content-Type") == "" && r.ContentLength == 0 {
		return nil // an action without a body
	}
	if err != nil || !lines && kind != "application/json" && kind != "application/merge-patch+json" {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: "the Content-Type has to be application/json"}
	}
	if lines {
		return nil // each line is checked on its own
	}
	if kind == "application/merge-patch+json" {
		r.Header.Set("Content-Type", "application/json")
	}
	if err := CheckJSON(b); err != nil {
		return &Problem{Status: http.StatusBadRequest, Detail: err.Error()}
	}
	return nil
}

// maxDepth is how deep JSON may be nested.
const maxDepth = 64

// CheckJSON says what is wrong with a text as JSON: not UTF-8, not JSON, a key
// twice in one object, something behind it.
func CheckJSON(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := value(dec, "body", 0); err != nil {
		if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("the body is not JSON, at byte %d", dec.InputOffset())
		}
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something stands behind the JSON, at byte %d", dec.InputOffset())
	}
	return nil
}

func value(dec *json.Decoder, at string, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("the body is nested deeper than %d", maxDepth)
	}
	seen := map[string]bool{}
	for i := 0; dec.More(); i++ {
		next := fmt.Sprintf("%s[%d]", at, i)
		if d == '{' {
			k, err := dec.Token()
			if err != nil {
				return err
			}
			key := k.(string) // the decoder takes no other
			if next = at + "." + short(key); seen[key] {
				return fmt.Errorf("%s stands twice", next)
			}
			seen[key] = true
		}
		if err := value(dec, next, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

func short(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
