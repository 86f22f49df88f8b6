package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
)

// TestWaitingOutlastsAnOutage checks that a poll which finds the service unavailable is
// repeated, and that other errors end the waiting.
func TestWaitingOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		answers int32  // with that status, before the mailing is shown
		want    string // in the error; "": no error
	}{
		"unavailable for two polls": {http.StatusServiceUnavailable, 2, ""},
		"too many requests":         {http.StatusTooManyRequests, 1, ""},
		"not found":                 {http.StatusNotFound, 1, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var polls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if polls.Add(1) <= c.answers {
					w.Header().Set("Content-Type", "application/problem+json")
					w.WriteHeader(c.status)
					fmt.Fprintf(w, `{"title": %q, "status": %d}`, http.StatusText(c.status), c.status)
					return
				}
				fmt.Fprint(w, `{"id": "m", "state": "completed"}`)
			}))
			t.Cleanup(server.Close)
			api := New(server.URL)
			api.Every = time.Millisecond

			m, err := api.Follow(t.Context(), "m", func(*Mailing) {})

			if c.want != "" {
				check.Error(t, "following the mailing", err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.State != "completed" {
				t.Errorf("the mailing is %q, want completed", m.State)
			}
		})
	}
}
