package tick

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon.example/emulators/storetest"
)

var errRefused = errors.New("permission denied")

// The alert "tick is missing" waits for the line "tick done". A round that cannot read
// what is due must not write it; one that lacks another part must.
func TestARoundThatReadsNothingIsNotDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refused []storetest.Method
		want    string // the line of the round
	}{
		"nothing is refused":         {nil, "tick done"},
		"the mailings":               {[]storetest.Method{storetest.ListDueMailings}, "tick failed"},
		"the messages":               {[]storetest.Method{storetest.ListDueMessages}, "tick failed"},
		"unflags, on which few wait": {[]storetest.Method{storetest.ListStalledUnflags}, "tick done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t)
			var lines bytes.Buffer
			deps := w.t.Deps
			deps.Store = storetest.New(w.Store).Before(storetest.Fail(errRefused), c.refused...)
			deps.Log = slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
			push := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"message":{"messageId":"1","data":"e30="},"subscription":"s"}`))
			push.Header.Set("Content-Type", "application/json")
			answer := httptest.NewRecorder()
			New(deps).ServeHTTP(answer, push)

			if answer.Code != http.StatusNoContent {
				t.Errorf("the push is answered with %d, want 204", answer.Code)
			}
			for _, line := range []string{"tick done", "tick failed"} {
				written := strings.Contains(lines.String(), `msg="`+line+`"`)
				if want := line == c.want; written != want {
					t.Errorf("the line %q is written: %v, want %v:\n%s", line, written, want, lines.String())
				}
			}
		})
	}
}
