package cloud

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// Log makes a logger that writes one line of JSON for each entry, in the form that Cloud
// Logging reads: severity, message, and the trace of the request. An unknown LogLevel is
// an error.
func Log(w io.Writer, c Common) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, fmt.Errorf("LOG_LEVEL is %q; it must be debug, info, warn or error", c.LogLevel)
	}

	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: renameAttr})
	return slog.New(traced{h, c.Project}), nil
}

// renameAttr gives level and message the names, and level the values, that Cloud Logging
// reads.
func renameAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		severity := a.Value.String()
		if severity == "WARN" {
			severity = "WARNING"
		}
		return slog.String("severity", severity)
	case slog.MessageKey:
		a.Key = "message"
	}

	return a
}

type traceKey struct{}

// Traced stores the trace id of the request in its context, so that log lines have it. It
// is read from the header traceparent (W3C) or X-Cloud-Trace-Context.
func Traced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := traceID(r.Header); id != "" {
			r = r.WithContext(context.WithValue(r.Context(), traceKey{}, id))
		}
		next.ServeHTTP(w, r)
	})
}

// traceID returns the 32 hexadecimal digits of the trace, "" if the headers have none.
func traceID(h http.Header) string {
	if p := strings.Split(h.Get("Traceparent"), "-"); len(p) == 4 && len(p[1]) == 32 {
		return p[1]
	}
	id, _, _ := strings.Cut(h.Get("X-Cloud-Trace-Context"), "/")
	if len(id) != 32 {
		return ""
	}
	return id
}

// traced adds the trace of the context to every line.
type traced struct {
	slog.Handler
	project string
}

func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(traceKey{}).(string); ok {
		r.AddAttrs(slog.String("logging.googleapis.com/trace", "projects/"+t.project+"/traces/"+id))
	}
	return t.Handler.Handle(ctx, r)
}

func (t traced) WithAttrs(a []slog.Attr) slog.Handler {
	return traced{t.Handler.WithAttrs(a), t.project}
}

func (t traced) WithGroup(n string) slog.Handler { return traced{t.Handler.WithGroup(n), t.project} }
