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

// A Problem is an answer other than the one asked for (RFC 9457). It never
// repeats what was sent in: that may be a push token.
type Problem struct {
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Errors []push.Fault `json:"errors,omitempty"`

	retryAfter time.Duration
}

func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes huma answer as the RFC wants.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders are the headers that go with it.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	return h
}

// newProblem takes the place of huma.NewError: the same without the values.
func newProblem(status int, msg string, errs ...error) huma.StatusError {
	p := &Problem{Title: http.StatusText(status), Status: status, Detail: msg}
	for _, err := range errs {
		if err == nil {
			continue
		}
		f := push.Fault{Message: err.Error()}
		var e huma.ErrorDetailer
		if errors.As(err, &e) {
			d := e.ErrorDetail()
			f = push.Fault{Location: d.Location, Message: d.Message}
		}
		p.Errors = append(p.Errors, f)
	}
	return p
}

func write(w http.ResponseWriter, p *Problem) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// outOfReach is how long to wait where nobody knows better.
const outOfReach = 30 * time.Second

// Answer is the table from error to status. What it does not know is our own
// fault: logged, and answered without its text.
//
//	push.Faults        422, every fault named
//	*push.NotFound     404
//	*push.Conflict     409
//	*push.Unavailable  503 with Retry-After
//	a deadline         503 with Retry-After
//	anything else      500
func Answer(ctx context.Context, log *slog.Logger, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[push.Faults](err); ok {
		return &Problem{Title: "Unprocessable Entity", Status: http.StatusUnprocessableEntity, Detail: "understood, but not right", Errors: f}
	}
	if e, ok := errors.AsType[*push.NotFound](err); ok {
		return &Problem{Title: "Not Found", Status: http.StatusNotFound, Detail: "there is no such " + e.What}
	}
	if e, ok := errors.AsType[*push.Conflict](err); ok {
		return &Problem{Title: "Conflict", Status: http.StatusConflict, Detail: e.Why}
	}
	log.ErrorContext(ctx, "a request failed", "error", err)
	if e, ok := errors.AsType[*push.Unavailable](err); ok {
		wait := e.RetryAfter
		if wait <= 0 {
			wait = outOfReach
		}
		return &Problem{Title: "Service Unavailable", Status: http.StatusServiceUnavailable, Detail: "something needed is out of reach", retryAfter: wait}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Problem{Title: "Service Unavailable", Status: http.StatusServiceUnavailable, Detail: "it took too long", retryAfter: outOfReach}
	}
	return &Problem{Title: "Internal Server Error", Status: http.StatusInternalServerError}
}
