package api

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/push"
)

// Limits of bodies in bytes: a body must be shorter. Cloud Run itself accepts 32 MB.
const (
	MaxBody    = 4 << 20   // a mailing: 10,000 customers or tokens
	MaxImport  = 16 << 20  // lines
	MaxProfile = 256 << 10 // data of a customer: 32 KiB of attributes, and what JSON adds
	MaxSmall   = 16 << 10  // a push token, settings, an action
)

const mergePatch = "application/merge-patch+json"

// check reads and checks the body of a request before huma does, and puts it back.
func (a *API) check(w http.ResponseWriter, r *http.Request, op *huma.Operation) *Problem {
	if op == nil || !reads(r.Method) {
		return nil
	}
	b, p := a.receive(w, r, cmp.Or(op.MaxBodyBytes, MaxBody))
	if p != nil {
		return p
	}
	if b, p = a.unpack(r, op, b); p != nil {
		return p
	}

	r.Body = io.NopCloser(bytes.NewReader(b))
	if len(b) == 0 && op.RequestBody == nil {
		return nil // an action without a body
	}
	if why := coded(r.Header); why != "" {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: why}
	}

	kind, ok := kindOf(r, op)
	if !ok {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: "the Content-Type has to be " + taken(op)}
	}
	if kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil // lines, each checked on its own
	}

	r.Header.Set("Content-Type", kind)
	var err error
	if late := a.Decode(r.Context(), len(b), func() { err = CheckJSON("body", b) }); late != nil {
		return later("it took too long", 0)
	}
	if err != nil {
		return &Problem{Status: http.StatusBadRequest, Detail: err.Error()}
	}
	if op.RequestBody == nil && string(bytes.TrimSpace(b)) != "{}" {
		return refusal(push.Faults{{Location: "body", Message: "this operation takes none"}})
	}

	return nil
}

// unpack returns the body of a request that was compressed, if op accepts that.
func (a *API) unpack(r *http.Request, op *huma.Operation, b []byte) ([]byte, *Problem) {
	coding := r.Header.Values("Content-Encoding")
	if op.Metadata[gzipKey] != true || len(coding) != 1 || !strings.EqualFold(coding[0], "gzip") {
		return b, nil
	}

	r.Header.Del("Content-Encoding")
	limit := cmp.Or(op.MaxBodyBytes, MaxBody)
	var out []byte
	var err error
	if late := a.Decode(r.Context(), largeBody, func() { out, err = unzip(b, limit) }); late != nil {
		return nil, later("it took too long", 0)
	}

	switch {
	case errors.Is(err, errTooLarge):
		return nil, &Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("a body has fewer than %d bytes when it is unpacked; this one has more", limit)}
	case err != nil:
		return nil, &Problem{Status: http.StatusBadRequest, Detail: "the body is not gzip, as its Content-Encoding says"}
	}

	return out, nil
}

// reads reports whether operations with a method have bodies.
func reads(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// receive reads a body of fewer bytes than limit. A large body, and one of unknown
// length, waits until few others are arriving.
func (a *API) receive(w http.ResponseWriter, r *http.Request, limit int64) (b []byte, p *Problem) {
	if r.ContentLength >= limit {
		return nil, tooLarge(limit)
	}
	if limit <= largeBody || r.ContentLength >= 0 && r.ContentLength < largeBody {
		return a.read(w, r, limit)
	}
	if late := a.arrive.with(r.Context(), func() { b, p = a.read(w, r, limit) }); late != nil {
		return nil, later("too many large bodies arrive at once", 0)
	}
	return b, p
}

func tooLarge(limit int64) *Problem {
	return &Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("a body has fewer than %d bytes; this one has more", limit)}
}

// read reads a body of fewer bytes than limit, within the time that bodies may take.
func (a *API) read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *Problem) {
	received := receiving(w, min(bodyTimeout, a.options.Timeout/2))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit-1))
	if err == nil {
		received()
		return b, nil
	}
	if tooSlow(err) {
		return nil, &Problem{Status: http.StatusRequestTimeout, Detail: "the body took too long to arrive"}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(limit)
	}
	return nil, &Problem{Status: http.StatusBadRequest, Detail: "the body did not arrive whole"}
}

// coded returns how a body is compressed, "" if it is not.
func coded(h http.Header) string {
	for _, coding := range h.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return "the body is compressed (Content-Encoding), which is not taken"
		}
	}
	return ""
}

// kindOf returns the media type of a request, and whether op accepts it.
func kindOf(r *http.Request, op *huma.Operation) (string, bool) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !isUTF8(params["charset"]) {
		return "", false
	}
	return kind, slices.Contains(kinds(op), kind)
}

// isUTF8 reports whether a charset is UTF-8, by its name or the usual alias. No
// charset counts as UTF-8.
func isUTF8(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// kinds lists the media types that op accepts. A patch has two names.
func kinds(op *huma.Operation) []string {
	if op.RequestBody == nil {
		return []string{"application/json"}
	}
	var out []string
	for kind := range op.RequestBody.Content {
		out = append(out, kind)
	}
	if op.Method == http.MethodPatch {
		out = append(out, "application/json", mergePatch)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func taken(op *huma.Operation) string { return strings.Join(kinds(op), " or ") + " in UTF-8" }
