package tick

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

var errRefused = errors.New("permission denied")

// refusesMailings is a store that may not read which mailings are due.
type refusesMailings struct{ dataStore }

func (refusesMailings) ListDueMailings(context.Context, time.Time) ([]*push.Mailing, error) {
	return nil, errRefused
}

// refusesMessages is a store that may not read which messages are due.
type refusesMessages struct{ dataStore }

func (refusesMessages) ListDueMessages(context.Context, time.Time) ([]store.DueMessage, error) {
	return nil, errRefused
}

// refusesUnflags is a store that may not read which unflags stand still.
type refusesUnflags struct{ dataStore }

func (refusesUnflags) ListStalledUnflags(context.Context) ([]string, error) { return nil, errRefused }

// The alert "tick is missing" waits for the line "tick done". A round that cannot read
// what is due must not write it; one that lacks another part must.
func TestARoundThatReadsNothingIsNotDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refuse func(dataStore) dataStore
		want   string // the line of the round
	}{
		"nothing is refused":         {func(s dataStore) dataStore { return s }, "tick done"},
		"the mailings":               {func(s dataStore) dataStore { return refusesMailings{s} }, "tick failed"},
		"the messages":               {func(s dataStore) dataStore { return refusesMessages{s} }, "tick failed"},
		"unflags, on which few wait": {func(s dataStore) dataStore { return refusesUnflags{s} }, "tick done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t)
			var lines bytes.Buffer
			deps := w.t.Deps
			deps.Store, deps.Log = c.refuse(w.Store), slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
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
