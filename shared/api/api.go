// Package api is what the HTTP functions share: an OpenAPI 3.1 document made
// from the code, strict decoding that names every fault, and problem+json.
package api

import (
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// huma takes keys in any case and echoes what it refuses unless told otherwise;
// both are settings of the package.
func init() {
	huma.ValidateStrictCasing = true
	huma.NewError = newProblem
}

// An API is the handler of one HTTP function.
type API struct {
	huma.API
	mux *http.ServeMux
	log *slog.Logger
}

// New makes an API without operations. Its document is at /openapi.json.
func New(title string, log *slog.Logger) *API {
	c := huma.DefaultConfig(title, "1")
	c.CreateHooks = nil // no $schema in bodies
	c.DocsPath, c.SchemasPath = "", ""
	c.RejectUnknownQueryParameters = true
	mux := http.NewServeMux()
	return &API{API: humago.New(mux, c), mux: mux, log: log}
}

// ServeHTTP checks what huma does not, and answers everything as problem+json.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	defer func() {
		if p := recover(); p != nil {
			a.log.ErrorContext(r.Context(), "a handler panicked", "panic", p, "stack", string(debug.Stack()))
			write(w, &Problem{Status: http.StatusInternalServerError})
		}
	}()
	h, pattern := a.mux.Handler(r)
	if pattern == "" {
		a.unrouted(w, r, h)
		return
	}
	if p := a.body(w, r); p != nil {
		write(w, p)
		return
	}
	a.mux.ServeHTTP(undated{w}, r)
}

// undated keeps huma from setting a deadline for reading the body, which was
// read before: net/http would let it end every request, and all later ones of
// the connection, whose answer takes longer than that (five seconds).
type undated struct{ http.ResponseWriter }

// Flush sends what was written so far.
func (u undated) Flush() {
	_ = http.NewResponseController(u.ResponseWriter).Flush() // a writer that cannot keeps it until the end
}

// unrouted answers what no operation takes: the mux says whether the path or
// the method is wrong.
func (a *API) unrouted(w http.ResponseWriter, r *http.Request, h http.Handler) {
	rec := &recorder{header: http.Header{}}
	h.ServeHTTP(rec, r)
	if rec.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", rec.header.Get("Allow"))
		write(w, &Problem{Status: rec.status, Detail: "this path does not take " + r.Method})
		return
	}
	write(w, &Problem{Status: http.StatusNotFound, Detail: "there is nothing at this path"})
}

// recorder keeps what the mux would have answered.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
