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

// checkBody reads and checks the body of a request before huma does, and puts it back.
func (a *API) checkBody(w http.ResponseWriter, r *http.Request, op *huma.Operation) *Problem {
	if op == nil || !methodHasBody(r.Method) {
		return nil
	}

	b, p := a.receiveBody(w, r, cmp.Or(op.MaxBodyBytes, MaxBody))
	if p != nil {
		return p
	}
	if b, p = a.unzipBody(r, op, b); p != nil {
		return p
	}

	r.Body = io.NopCloser(bytes.NewReader(b))
	if len(b) == 0 && op.RequestBody == nil {
		return nil // an action without a body
	}
	if why := refuseCoding(r.Header); why != "" {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: why}
	}

	kind, ok := kindOf(r, op)
	if !ok {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: "the Content-Type has to be " + describeKinds(op)}
	}
	if kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil // lines, each checked on its own
	}

	r.Header.Set("Content-Type", kind)
	var err error
	if late := a.Decode(r.Context(), len(b), func() { err = CheckJSON("body", b) }); late != nil {
		return unavailableProblem("it took too long", 0)
	}
	if err != nil {
		return &Problem{Status: http.StatusBadRequest, Detail: err.Error()}
	}
	if op.RequestBody == nil && string(bytes.TrimSpace(b)) != "{}" {
		return faultsProblem(push.Faults{{Location: "body", Message: "must be empty: this operation has no body"}})
	}

	return nil
}

// unzipBody uncompresses the body of a request, if op accepts gzip and the request has
// it. Every other body is returned as it is.
func (a *API) unzipBody(r *http.Request, op *huma.Operation, b []byte) ([]byte, *Problem) {
	coding := r.Header.Values("Content-Encoding")
	if op.Metadata[gzipKey] != true || len(coding) != 1 || !strings.EqualFold(coding[0], "gzip") {
		return b, nil
	}

	r.Header.Del("Content-Encoding")
	limit := cmp.Or(op.MaxBodyBytes, MaxBody)
	var out []byte
	var err error
	if late := a.Decode(r.Context(), largeBody, func() { out, err = unzip(b, limit) }); late != nil {
		return nil, unavailableProblem("it took too long", 0)
	}

	switch {
	case errors.Is(err, errTooLarge):
		return nil, &Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("a body has fewer than %d bytes when it is unpacked; this one has more", limit)}
	case err != nil:
		return nil, &Problem{Status: http.StatusBadRequest, Detail: "the body is not gzip, as its Content-Encoding says"}
	}

	return out, nil
}

// methodHasBody reports whether operations with a method have bodies.
func methodHasBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// receiveBody reads a body of fewer bytes than limit. A large body, and one of unknown
// length, waits until fewer than maxReceiving others are arriving.
func (a *API) receiveBody(w http.ResponseWriter, r *http.Request, limit int64) (b []byte, p *Problem) {
	if r.ContentLength >= limit {
		return nil, tooLarge(limit)
	}
	if limit <= largeBody || r.ContentLength >= 0 && r.ContentLength < largeBody {
		return a.readBody(w, r, limit)
	}
	if late := a.arriving.runInSlot(r.Context(), func() { b, p = a.readBody(w, r, limit) }); late != nil {
		return nil, unavailableProblem("too many large bodies arrive at once", 0)
	}
	return b, p
}

func tooLarge(limit int64) *Problem {
	return &Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("a body has fewer than %d bytes; this one has more", limit)}
}

// readBody reads a body of fewer bytes than limit, within the time that bodies may take.
func (a *API) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *Problem) {
	removeDeadline := setBodyDeadline(w, min(bodyTimeout, a.options.Timeout/2))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit-1))
	if err == nil {
		removeDeadline()
		return b, nil
	}

	if tooSlow(err) {
		return nil, &Problem{Status: http.StatusRequestTimeout, Detail: "the body took too long to arrive"}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(limit)
	}
	return nil, &Problem{Status: http.StatusBadRequest, Detail: "the body ended too early"}
}

// refuseCoding returns why a compressed body is refused, and "" for a body that is not
// compressed.
func refuseCoding(h http.Header) string {
	for _, coding := range h.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return "the body is compressed (Content-Encoding), which this operation does not accept"
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
	return kind, slices.Contains(acceptedKinds(op), kind)
}

// isUTF8 reports whether a charset is UTF-8, by its name or the usual alias. A missing
// charset counts as UTF-8.
func isUTF8(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// acceptedKinds lists the media types that op accepts, sorted. A patch may have either
// of two types.
func acceptedKinds(op *huma.Operation) []string {
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

// describeKinds names the media types that op accepts, for an error.
func describeKinds(op *huma.Operation) string {
	return strings.Join(acceptedKinds(op), " or ") + " in UTF-8"
}
