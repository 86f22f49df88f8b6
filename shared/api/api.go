// Package api is the common part of the HTTP functions: an OpenAPI 3.1 document made
// from the code, strict decoding that names every fault, and problem+json for all
// errors.
package api

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"carillon.example/shared/push"
)

// By default huma accepts keys in any case, and repeats refused input in its errors.
// Both can be changed only in variables of its package.
func init() {
	huma.ValidateStrictCasing = true
	huma.NewError = newProblem
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := newProblem(status, msg, errs...)
		if p, ok := p.(*Problem); ok && ctx != nil {
			p.Instance = instanceURI(RequestID(ctx.Context()))
		}
		return p
	}
}

// An API is the handler of one HTTP function.
type API struct {
	huma.API
	config   huma.Config
	mux      *http.ServeMux
	log      *slog.Logger
	options  Options
	slots    slots
	arriving slots // limits how many large bodies arrive at the same time
}

// Options configure an API; the zero value is the default.
type Options struct {
	Timeout time.Duration // timeout of the function; 0: DefaultTimeout
	Callers push.Callers  // permissions of callers; nil: every caller may do everything
	// Console is the account of the console, which names the person in OnBehalfHeader. "":
	// there is no console.
	Console push.Caller
	// Identify returns the caller of a request. nil: the caller of the ID token that
	// Cloud Run has verified.
	Identify func(*http.Request) push.Caller
	// AnyOrigin allows pages of every site to call. It is for a function whose callers
	// need a token that a browser does not send by itself.
	AnyOrigin bool
}

// New makes an API without operations. Its document is at /openapi.json.
func New(title string, log *slog.Logger, o Options) *API {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if o.Identify == nil {
		o.Identify = func(r *http.Request) push.Caller { return CallerOfToken(r.Header) }
	}

	c := huma.DefaultConfig(title, push.Version)
	c.CreateHooks = nil                                   // no $schema in bodies
	c.DocsPath, c.SchemasPath, c.OpenAPIPath = "", "", "" // Describe serves the document
	c.RejectUnknownQueryParameters = true

	mux := http.NewServeMux()
	return &API{API: humago.New(mux, c), config: c, mux: mux, log: Logger(log), options: o, slots: newSlots(), arriving: make(slots, maxReceiving)}
}

// crossOrigin refuses requests that a browser sends for a page of another site. Such a
// request would carry the credentials of the person at the browser.
var crossOrigin = http.NewCrossOriginProtection()

// Config returns the settings where huma looks for them. Without this method the
// settings of New that concern requests would have no effect.
func (a *API) Config() huma.Config { return a.config }

// ServeHTTP checks what huma does not check, and answers every error as problem+json.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = WithRequestID(w, r)
	out := &answer{ResponseWriter: w, request: r}
	out.Header().Set("X-Content-Type-Options", "nosniff")
	out.Header().Set("Cache-Control", "no-store")
	defer a.answerPanic(out, r)

	account := a.options.Identify(r)
	ctx, cancel := Within(WithCaller(r.Context(), personBehind(account, a.options.Console, r.Header)), a.options.Timeout)
	defer cancel()
	r = r.WithContext(ctx)

	h, pattern := a.mux.Handler(r)
	if isUnclean(r) {
		h, pattern = http.NotFoundHandler(), ""
	}
	if pattern == "" {
		answerUnrouted(out, r, h)
		return
	}
	if !a.options.AnyOrigin && crossOrigin.Check(r) != nil {
		(&Problem{Status: http.StatusForbidden, Detail: "pages of other sites may not call this function"}).Write(out)
		return
	}

	if p := checkQuery(r.URL.RawQuery); p != nil {
		p.Write(out)
		return
	}
	op := a.findOperation(pattern)
	if p := a.authorizeCaller(ctx, account, op); p != nil {
		p.Write(out)
		return
	}
	p := a.checkBody(w, r, op)
	if p != nil {
		p.Write(out)
		return
	}

	out.received = methodHasBody(r.Method)

	ctx, cancel = withOperationDeadline(ctx, op)
	defer cancel()
	a.mux.ServeHTTP(out, r.WithContext(ctx))
}

// checkQuery refuses parameters that cannot be read, which the mux would ignore, and
// parameters that occur twice. It returns nil if it refuses none.
func checkQuery(raw string) *Problem {
	all, err := url.ParseQuery(raw)
	if err != nil {
		return &Problem{Status: http.StatusBadRequest, Detail: "the query is not encoded as in ?name=value&name=value"}
	}

	var faults push.Faults
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(all[name]) > 1 {
			faults = append(faults, push.Fault{Location: "query." + push.Truncate(name, maxLocation), Message: "is given twice"})
		}
	}
	if len(faults) > 0 {
		return faultsProblem(faults)
	}

	return nil
}

// isUnclean reports whether the mux would answer with a redirect to the clean form of
// the path. A redirect is not a useful answer to a POST, so such a path gets 404.
func isUnclean(r *http.Request) bool {
	p := r.URL.EscapedPath()
	return p != path.Clean(p)
}

// findOperation returns the operation of a pattern of the mux. It returns nil for the
// document itself.
func (a *API) findOperation(pattern string) *huma.Operation {
	method, at, _ := strings.Cut(pattern, " ")
	item := a.OpenAPI().Paths[at]
	if item == nil {
		return nil
	}
	return map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
		http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
	}[method]
}

// answerPanic answers for a handler that panicked. The value of the panic may contain
// input, so it is logged only if it is a runtime error.
func (a *API) answerPanic(w *answer, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
		w.breakOff()
		return
	}

	what := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}

	a.log.ErrorContext(r.Context(), "a handler panicked", "panic", what, "stack", string(debug.Stack()))
	if w.begun {
		w.breakOff()
	} else {
		(&Problem{Status: http.StatusInternalServerError}).Write(w)
	}
}

// answer records whether the response has begun. It also hides the connection from
// huma, which would set a deadline of five seconds for reading the body. The body was
// read before, and net/http would apply the deadline to the whole request and to all
// later ones of the connection.
type answer struct {
	http.ResponseWriter
	request  *http.Request
	received bool // the body was read
	begun    bool
}

// beginResponse is called before the first byte of the response. A body that was not
// read ends the connection with the response.
func (a *answer) beginResponse() {
	if !a.begun && !a.received {
		Refuse(a.ResponseWriter, a.request)
	}
	a.begun = true
}

// WriteHeader begins the response.
func (a *answer) WriteHeader(status int) {
	a.beginResponse()
	a.ResponseWriter.WriteHeader(status)
}

// Write begins the response, or continues it.
func (a *answer) Write(b []byte) (int, error) {
	a.beginResponse()
	return a.ResponseWriter.Write(b) //nolint:wrapcheck // a writer's errors are the writer's
}

// Flush sends what was written so far.
func (a *answer) Flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush() // a writer that cannot flush keeps it until the end
}

// breakOff closes the connection in the middle of the response, so that the client sees
// that the response is not complete. If the handler panicked instead, the functions
// framework would complete the response, with a text about the panic in it.
func (a *answer) breakOff() {
	conn, _, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // this ends the stream of HTTP/2
	}
	_ = conn.Close() // the connection ends in any case
}

// answerUnrouted answers requests that match no operation. The answer of the mux shows
// whether the path or the method is wrong.
func answerUnrouted(w http.ResponseWriter, r *http.Request, h http.Handler) {
	rec := &recorder{header: http.Header{}}
	h.ServeHTTP(rec, r)
	if rec.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", rec.header.Get("Allow"))
		(&Problem{Status: rec.status, Detail: "this path does not accept this method"}).Write(w)
		return
	}
	(&Problem{Status: http.StatusNotFound, Detail: "there is nothing at this path"}).Write(w)
}

// recorder records the status and the headers of the mux's answer, and drops its body.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
