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

// dated records the read deadlines that are set for its connection.
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
		t.Fatalf("%d %s, want 204", w.Code, w.Body)
	}

	// A deadline that stays after the body would end the request while its handler runs.
	if len(w.set) != 2 {
		t.Fatalf("the connection got the deadlines %v, want one for the body and its removal", w.set)
	}
	if w.set[0].IsZero() {
		t.Errorf("the body has no deadline")
	}
	if !w.set[1].IsZero() {
		t.Errorf("after the body the deadline is %v, want none", w.set[1])
	}
}
