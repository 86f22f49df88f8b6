package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/push"
)

// A Problem is an error answer (RFC 9457). It never repeats input, which may contain
// a push token.
type Problem struct {
	Type   string       `json:"type" doc:"about:blank: the status says what kind of problem it is"`
	Title  string       `json:"title" doc:"the status in words"`
	Status int          `json:"status" doc:"the HTTP status"`
	Detail string       `json:"detail,omitempty" doc:"what is wrong"`
	Errors []push.Fault `json:"errors,omitempty" doc:"every fault with its place"`
	// Instance identifies the request, as the log does.
	Instance string `json:"instance,omitempty" doc:"urn:carillon:request: and the X-Request-Id of the answer"`

	retryAfter time.Duration
}

func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes huma use the media type of the RFC.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders returns the headers of the answer.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	return h
}

// blank is the type of problems that the status describes well enough (RFC 9457,
// 4.2.1).
const blank = "about:blank"

func problem(status int, detail string) *Problem {
	return &Problem{Type: blank, Title: http.StatusText(status), Status: status, Detail: detail}
}

// refusal is the answer to a request that is understood but wrong.
func refusal(f push.Faults) *Problem {
	p := problem(http.StatusUnprocessableEntity, "understood, but not right")
	p.Errors = spelled(f)
	return p
}

// BadRequest is the answer to a request that lacks something.
func BadRequest(f push.Faults) error {
	p := problem(http.StatusBadRequest, "something is missing")
	p.Errors = spelled(f)
	return p
}

// newProblem replaces huma.NewError: it leaves out values, and the texts of our own
// errors.
func newProblem(status int, msg string, errs ...error) huma.StatusError {
	p := problem(status, msg)
	if status < http.StatusInternalServerError {
		p.Errors = spelled(detailed(errs))
	}
	return p
}

// Write answers with p.
func (p *Problem) Write(w http.ResponseWriter) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	p.Type, p.Instance = blank, instance(w.Header().Get(requestHeader))
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client has gone
}

// outOfReach is how long to wait if nothing better is known.
const outOfReach = 30 * time.Second

// Answering adds the table of errors to a use case.
func Answering[I, O any](log *slog.Logger, f func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, ToProblem(ctx, log, err)
		}
		return out, nil
	}
}

// ToProblem is the table from error to status. An unknown error is our own fault: it is
// logged, and answered without its text.
//
//	*Problem           as it is
//	push.Faults        422, every fault named
//	*push.NotFound     404
//	*push.Conflict     409
//	*push.PreconditionFailed  412
//	*push.LimitReached 429 with Retry-After
//	*push.Unavailable  503 with Retry-After
//	a deadline         503 with Retry-After
//	the caller gone    503, which is not read
//	anything else      500
//
// What never reaches a use case is answered by ServeHTTP and by huma:
//
//	no such path                                                          404
//	a path that does not take the method                                  405 with Allow
//	no JSON, no UTF-8, a key twice, half a surrogate pair, nested deeper
//	than 64, a body cut off                                               400
//	a body too large                                                      413
//	a Content-Type or Content-Encoding that is not read                   415
//	a field, parameter or header unknown or not as the schema wants it    422
//	a panic                                                               500
func ToProblem(ctx context.Context, log *slog.Logger, err error) error {
	answer := answerTo(ctx, log, err)
	if p, ok := errors.AsType[*Problem](answer); ok {
		p.Instance = instance(RequestID(ctx))
	}
	return answer
}

func answerTo(ctx context.Context, log *slog.Logger, err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if f, ok := errors.AsType[push.Faults](err); ok {
		return refusal(f)
	}
	if e, ok := errors.AsType[*push.NotFound](err); ok {
		return problem(http.StatusNotFound, "there is no such "+e.What)
	}
	if e, ok := errors.AsType[*push.Conflict](err); ok {
		return problem(http.StatusConflict, e.Why)
	}
	if e, ok := errors.AsType[*push.LimitReached](err); ok {
		p := problem(http.StatusTooManyRequests, e.Error())
		p.retryAfter = e.RetryAfter
		return p
	}
	if e, ok := errors.AsType[*push.PreconditionFailed](err); ok {
		return problem(http.StatusPreconditionFailed, e.Error()+": If-Match does not hold")
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		log.InfoContext(ctx, "the caller has gone", "error", err)
		return later("the request was given up", 0)
	}

	log.ErrorContext(ctx, "a request failed", "error", err)
	if e, ok := errors.AsType[*push.Unavailable](err); ok {
		return later("something needed is out of reach", e.RetryAfter)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return later("it took too long", 0)
	}

	return problem(http.StatusInternalServerError, "")
}

// later asks to try again after a while, 0 if unknown.
func later(detail string, wait time.Duration) *Problem {
	p := problem(http.StatusServiceUnavailable, detail)
	if p.retryAfter = wait; wait <= 0 {
		p.retryAfter = outOfReach
	}
	return p
}
