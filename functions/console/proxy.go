package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// MaxBody is the limit of a body in bytes: a mailing may list 10,000 customers.
const MaxBody = 8 << 20

// passed are the headers of a request that are passed on, and returned are those of an
// answer. Cookies and what Google's proxies add are not passed on.
var (
	passed   = []string{"Accept", "Content-Type", "Idempotency-Key", "If-Match"}
	returned = []string{"Content-Type", "Content-Length", "Etag", "Location", "Idempotency-Replayed", "Retry-After"}
)

type tokenKey struct{}

// forward sends a request on as the console's service account, for a person, and answers
// what the function answers.
func (c *console) forward(w http.ResponseWriter, r *http.Request, op operation, who push.Caller) {
	to := c.Mailings
	if op.to == customers {
		to = c.Customers
	}
	token, err := to.Tokens.Token()
	if err != nil {
		c.Log.ErrorContext(r.Context(), "the console has no ID token", "function", to.URL.Host, "error", err)
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "the console cannot identify itself now")
		return
	}

	if op.role == RoleSend {
		c.Log.InfoContext(r.Context(), "a person changes something", "caller", who, "operation", op.method+" "+op.path)
	}
	r = r.WithContext(context.WithValue(r.Context(), tokenKey{}, token.AccessToken))
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	c.proxy(to, op, who).ServeHTTP(w, r)
}

// proxy makes the proxy of one request.
func (c *console) proxy(to Service, op operation, who push.Caller) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		FlushInterval: -1, // recipients are a stream
		ErrorLog:      slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = to.URL.Scheme, to.URL.Host, to.URL.Host
			h := http.Header{}
			for _, name := range passed {
				if v := p.In.Header.Values(name); len(v) > 0 {
					h[name] = v
				}
			}
			token, _ := p.In.Context().Value(tokenKey{}).(string)
			h.Set("Authorization", "Bearer "+token)
			h.Set(api.OnBehalfHeader, string(who))
			h.Set("X-Request-Id", api.RequestID(p.In.Context()))
			h.Set("User-Agent", "carillon-console")
			p.Out.Header = h
		},
		ModifyResponse: func(a *http.Response) error {
			h := http.Header{}
			for _, name := range returned {
				if v := a.Header.Values(name); len(v) > 0 {
					h[name] = v
				}
			}
			if op.save != "" && a.StatusCode == http.StatusOK {
				h.Set("Content-Disposition", `attachment; filename="`+op.save+`"`)
			}
			a.Header = h
			return nil
		},
		ErrorHandler: c.failed,
	}
}

// failed answers a request that could not be passed on.
func (c *console) failed(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		c.Log.InfoContext(r.Context(), "a body is too large", "limit", e.Limit)
		refuse(w, http.StatusRequestEntityTooLarge, "the body is larger than the console takes")
		return
	}
	if r.Context().Err() != nil {
		return // the browser has gone
	}
	c.Log.ErrorContext(r.Context(), "a function is out of reach", "error", err)
	w.Header().Set("Retry-After", "10")
	refuse(w, http.StatusBadGateway, "the function is out of reach")
}
