package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
)

// TestAnOperationOnOneThingHasLessTime checks that an operation on one document has less
// time than its function: 10 s to read and 30 s to write.
func TestAnOperationOnOneThingHasLessTime(t *testing.T) {
	t.Parallel()
	a := api.New("time", slog.New(slog.DiscardHandler), api.Options{Timeout: time.Minute})
	left := map[string]time.Duration{}
	ends := func(id, method string, change func(huma.Operation) huma.Operation) {
		op := change(huma.Operation{Method: method, Path: "/" + id, OperationID: id})
		huma.Register(a, op, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			at, _ := ctx.Deadline()
			left[id] = time.Until(at)
			return nil, nil
		})
	}
	same := func(op huma.Operation) huma.Operation { return op }
	ends("read", http.MethodGet, same)
	ends("write", http.MethodPost, same)
	ends("export", http.MethodGet, api.WithLongDeadline)
	site := testcloud.Serve(t, a)
	for id, c := range map[string]struct {
		method     string
		least, max time.Duration
	}{"read": {"GET", 5 * time.Second, 10 * time.Second}, "write": {"POST", 20 * time.Second, 30 * time.Second}, "export": {"GET", 45 * time.Second, 55 * time.Second}} {
		t.Run(id, func(t *testing.T) {
			if got := site.Ask(c.method, "/"+id, ""); got.Code != http.StatusNoContent {
				t.Fatalf("%s: %v", id, got)
			}
			if left[id] > c.max || left[id] < c.least {
				t.Errorf("%s has %v left, want %v at most and %v at least", id, left[id], c.max, c.least)
			}
		})
	}
}
