package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// thing is a body that huma reads. note is a body that a form reads.
type thing struct {
	Name  string         `json:"name" maxLength:"10"`
	Count int            `json:"count,omitempty" minimum:"1"`
	Color string         `json:"color,omitempty" enum:"red,blue"`
	Parts []part         `json:"parts,omitempty"`
	Free  map[string]any `json:"free,omitempty"`
}

type part struct {
	Size int `json:"size"`
}

type note struct {
	To     []string          `json:"to"`
	At     *time.Time        `json:"at,omitempty"`
	Within *push.Duration    `json:"within,omitempty" pattern:"^[0-9]+[smh]$" patternDescription:"a duration like 90s"`
	Copies int               `json:"copies,omitempty"`
	Text   string            `json:"text"`
	Part   *part             `json:"part,omitempty"`
	Words  map[string]string `json:"words,omitempty"`
}

func (l *note) check() (f push.Faults) {
	if len(l.To) == 0 {
		f = append(f, push.Fault{Location: "body.to", Message: "names nobody"})
	}
	if l.Text == "" {
		f = append(f, push.Fault{Location: "body.text", Message: "is empty"})
	}
	return f
}

type thingInput struct{ Body thing }

type noteInput struct{ Body json.RawMessage }

type linesInput struct {
	RawBody []byte `contentType:"application/x-ndjson"`
}

type idInput struct {
	ID   string `path:"id" maxLength:"20"`
	Size int    `query:"size" minimum:"1" maximum:"5" default:"1"`
}

type output struct {
	Body struct {
		OK string `json:"ok"`
	}
}

// faulty returns the error that the id names, or panics with it.
func faulty(_ context.Context, in *idInput) (*output, error) {
	switch in.ID {
	case "faults":
		return nil, push.Faults{{Location: "body.a", Message: "is odd"}, {Location: "body.b", Message: "is even"}}
	case "gone":
		return nil, &push.NotFound{What: "thing", ID: in.ID}
	case "conflict":
		return nil, &push.Conflict{Why: "it is not so"}
	case "away":
		return nil, &push.Unavailable{Err: errors.New("secret address")}
	case "later":
		return nil, &push.Unavailable{RetryAfter: 1500 * time.Millisecond, Err: errors.New("secret address")}
	case "slow":
		return nil, context.DeadlineExceeded
	case "own":
		return nil, errors.New("secret address")
	case "bare":
		panic(errors.New("secret address"))
	case "index":
		return nil, push.Faults{push.Faults{}[len(in.ID)]}
	}
	return &output{}, nil
}

// A world is a client of the small API, which runs on a real server.
type world struct {
	*testcloud.Client
	log *testcloud.LogBuffer
}

func small(t testing.TB) *world {
	t.Helper()
	j := &testcloud.LogBuffer{}
	return &world{testcloud.Serve(t, handler(j.Logger(), 1<<10)), j}
}

// limitless returns the small API with the largest limit of bodies that a function has.
func limitless(log *slog.Logger) http.Handler { return handler(log, api.MaxImport) }

func handler(log *slog.Logger, maxBody int64) http.Handler {
	log = api.Logger(log)
	a := api.New("small", log, api.Options{})
	op := func(method, path, id string) huma.Operation {
		return huma.Operation{Method: method, Path: path, OperationID: id, DefaultStatus: http.StatusOK, MaxBodyBytes: maxBody, Errors: []int{400, 422}}
	}
	ok := func(context.Context) (*output, error) { return &output{}, nil }
	for _, m := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
		huma.Register(a, op(m, "/things", strings.ToLower(m)), func(ctx context.Context, _ *thingInput) (*output, error) { return ok(ctx) })
	}
	huma.Register(a, op(http.MethodPost, "/panic", "panic"), func(_ context.Context, in *thingInput) (*output, error) { panic(in.Body.Name) })
	form := api.NewForm[note](a)
	huma.Register(a, form.Takes(op(http.MethodPost, "/notes", "note")), func(ctx context.Context, in *noteInput) (*output, error) {
		l, faults := form.Read(in.Body)
		if faults = api.Join(faults, l.check()...); len(faults) > 0 {
			return nil, api.ToProblem(ctx, log, faults)
		}
		return ok(ctx)
	})
	huma.Register(a, op(http.MethodPost, "/lines", "lines"), func(ctx context.Context, _ *linesInput) (*output, error) { return ok(ctx) })
	huma.Register(a, op(http.MethodPost, "/act", "act"), func(ctx context.Context, _ *struct{}) (*output, error) { return ok(ctx) })
	huma.Register(a, op(http.MethodGet, "/things/{id}", "show"), func(ctx context.Context, in *idInput) (*output, error) {
		out, err := faulty(ctx, in)
		return out, api.ToProblem(ctx, log, err)
	})
	huma.Register(a, op(http.MethodGet, "/unwrapped/{id}", "unwrapped"), faulty)
	a.Describe(api.Documentation{Description: "small", SecurityName: "invoker", Security: api.Invoker()})
	return a
}

// do sends a request. kind is the Content-Type, "" for none.
func (w *world) do(method, path, kind, body string) testcloud.Answer {
	return w.Ask(method, path, body, "Content-Type", kind)
}
