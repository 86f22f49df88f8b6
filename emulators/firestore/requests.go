package firestore

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/firestore/engine"
)

const (
	keptRequests = 1000 // requests that a server remembers
	maxMessage   = 500  // bytes of an error's text that are kept
)

// A Request is one request that the server has answered. A stream (Listen, Write) counts
// once, when it ends.
type Request struct {
	Number  int64     `json:"number"` // counts up from 1 since the start
	At      time.Time `json:"at"`     // when it came
	Method  string    `json:"method"` // "Commit"
	Path    string    `json:"path"`   // of the first document, or of the collection, or the database
	More    int       `json:"more"`   // documents besides the first
	Millis  float64   `json:"milliseconds"`
	Code    string    `json:"code"`              // "OK", "NOT_FOUND"
	Message string    `json:"message,omitempty"` // of an error
	Usage
}

// An answered request is a Request as the server keeps it: what takes time is done when
// somebody reads it.
type answered struct {
	began   time.Time
	took    time.Duration
	method  string
	subject subject
	failure error
	usage   Usage
}

// A requestLog remembers the last requests.
type requestLog struct {
	// mu guards the fields below. Requests that end at the same time take turns for a copy of
	// a few words.
	mu   sync.Mutex
	last int64
	ring [keptRequests]answered
}

func (l *requestLog) add(a answered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring[l.last%keptRequests] = a
	l.last++
}

// after returns the kept requests with a higher number, the newest first, and the number of
// the last request. A number that is not given yet belongs to an earlier run of the server:
// all are returned.
func (l *requestLog) after(number int64) (out []Request, last int64) {
	l.mu.Lock()
	last = l.last
	if number > last {
		number = 0
	}
	first := max(number, last-keptRequests, 0)
	kept := make([]answered, 0, last-first)
	for n := last; n > first; n-- {
		kept = append(kept, l.ring[(n-1)%keptRequests])
	}
	l.mu.Unlock()

	out = make([]Request, len(kept))
	for i, a := range kept {
		out[i] = a.describe(last - int64(i))
	}
	return out, last
}

func (a answered) describe(number int64) Request {
	s, ok := status.FromError(a.failure)
	if !ok {
		s = status.FromContextError(a.failure) // as the client gets it
	}
	text := s.Message()
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return Request{
		Number: number, At: a.began.UTC(), Method: a.method, Path: a.subject.path(), More: a.subject.more,
		Millis: float64(a.took.Microseconds()) / 1000, Code: code.Code(s.Code()).String(), Message: text, Usage: a.usage,
	}
}

// A call is a request that is being answered.
type call struct {
	began  time.Time
	method string
	bill   engine.Bill
}

// end records a request that was answered with err.
func (s *Server) end(c *call, about subject, err error) {
	reads, writes, deletes := c.bill.Counts()
	s.requests.add(answered{c.began, time.Since(c.began), c.method, about, err, Usage{reads, writes, deletes}})
}

// Requests returns the last 1,000 requests with a number above after, the newest first.
func (s *Server) Requests(after int64) []Request {
	out, _ := s.requests.after(after)
	return out
}

// serveRequests serves Requests; the parameter after is a number, 0 by default.
func (s *Server) serveRequests(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseInt(cmp.Or(r.URL.Query().Get("after"), "0"), 10, 64)
	if err != nil || after < 0 {
		http.Error(w, "after is no number of a request", http.StatusBadRequest)
		return
	}
	list, last := s.requests.after(after)
	writeJSON(w, map[string]any{"requests": list, "last": last})
}

// serveDatabases serves the names of the databases that have documents.
func (s *Server) serveDatabases(w http.ResponseWriter, _ *http.Request) {
	names := s.engine.Databases()
	slices.Sort(names)
	writeJSON(w, map[string]any{"databases": names})
}

// writeProblem answers with an error, in the format of RFC 9457.
func writeProblem(w http.ResponseWriter, code int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client may have disconnected
		"title": http.StatusText(code), "status": code, "detail": detail})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		slog.Debug("firestore emulator: the client has gone", "error", err)
	}
}
