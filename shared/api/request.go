package api

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
)

// requestHeader is the header with the id of a request, in the request and the answer.
const requestHeader = "X-Request-Id"

type requestKey struct{}

// RequestID returns the id of the request of ctx, "" if ctx belongs to no request.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// WithRequestID returns r with an id in its context, and sets the header of the answer.
// The id is the one that the context has already, else that of X-Request-Id, else a new
// one.
func WithRequestID(w http.ResponseWriter, r *http.Request) *http.Request {
	id := RequestID(r.Context())
	if id == "" {
		if id = r.Header.Get(requestHeader); !isRequestID(id) {
			id = strings.ToLower(rand.Text())
		}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, id))
	}
	w.Header().Set(requestHeader, id)
	return r
}

// isRequestID reports whether an id is safe in a header, a log and a URN.
func isRequestID(id string) bool {
	const most = 128
	return id != "" && len(id) <= most && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-._:", c)
	})
}

// instanceURI returns the instance of a problem (RFC 9457), "" without a request id.
func instanceURI(requestID string) string {
	if requestID == "" {
		return ""
	}
	return "urn:carillon:request:" + requestID
}

// Logger returns log with the attribute requestId in each line that is logged with the
// context of a request.
func Logger(log *slog.Logger) *slog.Logger { return slog.New(requestLog{log.Handler()}) }

type requestLog struct{ slog.Handler }

func (l requestLog) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("requestId", id))
	}
	return l.Handler.Handle(ctx, r)
}

func (l requestLog) WithAttrs(a []slog.Attr) slog.Handler { return requestLog{l.Handler.WithAttrs(a)} }
func (l requestLog) WithGroup(n string) slog.Handler      { return requestLog{l.Handler.WithGroup(n)} }
