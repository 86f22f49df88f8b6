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

// A Problem is the body of an error answer (RFC 9457). It never repeats input, which may
// contain a push token.
type Problem struct {
	Type   string       `json:"type" doc:"about:blank: the status says what kind of problem it is"`
	Title  string       `json:"title" doc:"the status in words"`
	Status int          `json:"status" doc:"the HTTP status"`
	Detail string       `json:"detail,omitempty" doc:"what is wrong"`
	Errors []push.Fault `json:"errors,omitempty" doc:"every fault with its place"`
	// Instance identifies the request, as the log does.
	Instance string `json:"instance,omitempty" doc:"urn:carillon:request: and the X-Request-Id of the answer"`

	retryAfter time.Duration // for the header Retry-After, in whole seconds, rounded up; 0: no header
}

func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of RFC 9457, which huma uses for the answer.
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

func makeProblem(status int, detail string) *Problem {
	return &Problem{Type: blank, Title: http.StatusText(status), Status: status, Detail: detail}
}

// faultsProblem is the answer to a request whose values are wrong.
func faultsProblem(f push.Faults) *Problem {
	p := makeProblem(http.StatusUnprocessableEntity, "the request has faults; see errors")
	p.Errors = limitFaults(f)
	return p
}

// BadRequest is the answer to a request that lacks a header or a field.
func BadRequest(f push.Faults) error {
	p := makeProblem(http.StatusBadRequest, "something is missing")
	p.Errors = limitFaults(f)
	return p
}

// newProblem replaces huma.NewError. A problem contains no values of the request, and
// above 499 no texts of errors.
func newProblem(status int, msg string, errs ...error) huma.StatusError {
	p := makeProblem(status, msg)
	if status < http.StatusInternalServerError {
		p.Errors = limitFaults(toFaults(errs))
	}
	return p
}

// Write writes p as the answer.
func (p *Problem) Write(w http.ResponseWriter) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}

	p.Type, p.Instance = blank, instanceURI(w.Header().Get(requestHeader))
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client has gone
}

// outOfReach is the Retry-After of a 503 if no better time is known.
const outOfReach = 30 * time.Second

// Answering returns f with its errors converted by ToProblem.
func Answering[I, O any](log *slog.Logger, f func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, ToProblem(ctx, log, err)
		}
		return out, nil
	}
}

// ToProblem converts an error of a use case to the answer. An unknown error is our own
// fault: it is logged, and the answer does not contain its text.
//
//	*Problem                    the problem itself
//	push.Faults                 422, every fault named
//	*push.NotFound              404
//	*push.Conflict              409
//	*push.PreconditionFailed    412
//	*push.LimitReached          429 with Retry-After
//	*push.Unavailable           503 with Retry-After
//	the deadline has passed     503 with Retry-After
//	the caller has gone         503, which the caller does not read
//	every other error           500
//
// ServeHTTP and huma answer requests that do not reach a use case:
//
//	the path does not exist                                               404
//	the path does not accept the method                                   405 with Allow
//	the body is not JSON or not UTF-8, has a key twice, half a surrogate
//	pair or more than 64 levels, or ended too early                       400
//	the body is too large                                                 413
//	the Content-Type or Content-Encoding is not accepted                  415
//	a field, parameter or header is unknown or does not match the schema  422
//	a handler panics                                                      500
func ToProblem(ctx context.Context, log *slog.Logger, err error) error {
	answer := answerTo(ctx, log, err)
	if p, ok := errors.AsType[*Problem](answer); ok {
		p.Instance = instanceURI(RequestID(ctx))
	}
	return answer
}

// answerTo is ToProblem without the id of the request.
func answerTo(ctx context.Context, log *slog.Logger, err error) error {
	if err == nil {
		return nil
	}

	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if f, ok := errors.AsType[push.Faults](err); ok {
		return faultsProblem(f)
	}
	if e, ok := errors.AsType[*push.NotFound](err); ok {
		return makeProblem(http.StatusNotFound, "there is no such "+e.What)
	}
	if e, ok := errors.AsType[*push.Conflict](err); ok {
		return makeProblem(http.StatusConflict, e.Why)
	}
	if e, ok := errors.AsType[*push.LimitReached](err); ok {
		p := makeProblem(http.StatusTooManyRequests, e.Error())
		p.retryAfter = e.RetryAfter
		return p
	}
	if e, ok := errors.AsType[*push.PreconditionFailed](err); ok {
		return makeProblem(http.StatusPreconditionFailed, e.Error()+": If-Match does not hold")
	}

	if errors.Is(ctx.Err(), context.Canceled) {
		log.InfoContext(ctx, "the caller has gone", "error", err)
		return unavailableProblem("the caller has ended the request", 0)
	}

	log.ErrorContext(ctx, "a request failed", "error", err)
	if e, ok := errors.AsType[*push.Unavailable](err); ok {
		return unavailableProblem("a service that Carillon needs is not available", e.RetryAfter)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return unavailableProblem("it took too long", 0)
	}

	return makeProblem(http.StatusInternalServerError, "")
}

// unavailableProblem is a 503 that asks the caller to try again after wait; 0:
// outOfReach.
func unavailableProblem(detail string, wait time.Duration) *Problem {
	p := makeProblem(http.StatusServiceUnavailable, detail)
	if p.retryAfter = wait; wait <= 0 {
		p.retryAfter = outOfReach
	}
	return p
}
