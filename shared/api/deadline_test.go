package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
)

// dated is a connection that remembers the deadlines set for it.
type dated struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *dated) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

func TestAnswersMayTakeLongerThanBodies(t *testing.T) {
	t.Parallel()
	a := api.New("test", slog.New(slog.DiscardHandler), api.Options{})
	type input struct {
		Body struct {
			A string `json:"a"`
		}
	}
	huma.Register(a, huma.Operation{Method: http.MethodPost, Path: "/x", OperationID: "x"}, func(context.Context, *input) (*struct{}, error) { return nil, nil })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/x", strings.NewReader(`{"a":"b"}`))
	r.Header.Set("Content-Type", "application/json")
	w := &dated{ResponseRecorder: httptest.NewRecorder()}
	a.ServeHTTP(w, r)
	if w.Code != http.StatusNoContent {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if len(w.set) != 2 || w.set[0].IsZero() || !w.set[1].IsZero() {
		t.Errorf("the connection got the deadlines %v, want one for the body and none after it: the request would end with it, whatever the handler does", w.set)
	}
}
