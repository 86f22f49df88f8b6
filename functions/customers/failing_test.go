package customers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// failing is a store that is out of reach for registrations and imports, and
// fails behind the first page of an export.
type failing struct{ *store.Store }

func (failing) Register(context.Context, string, push.Registration) (store.Registered, error) {
	return store.Registered{}, &push.Unavailable{Err: errors.New("no Firestore")}
}

func (failing) Import(_ context.Context, lines []store.ImportLine) ([]error, []push.Event, error) {
	return make([]error, len(lines)), nil, &push.Unavailable{Err: errors.New("no Firestore")}
}

func (failing) Reaches(_ context.Context, after string, size int) ([]store.Reach, error) {
	if after != "" {
		return nil, errors.New("no Firestore")
	}
	page := make([]store.Reach, size)
	for i := range page {
		page[i].Customer = fmt.Sprintf("c%d", i)
	}
	return page, nil
}

func newFailing(t *testing.T) (*httptest.Server, *journal) {
	t.Helper()
	j := &journal{}
	s := httptest.NewServer(New(Deps{Store: failing{}, Queue: &outage{on: true}, Log: slog.New(slog.NewTextHandler(j, nil))}))
	t.Cleanup(s.Close)
	return s, j
}

// TestOutOfReach: whoever asks is told to come back, also with an import of
// which part may be stored: a line of it is not called bad.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	s, log := newFailing(t)
	for path, kind := range map[string]string{anna + "/tokens": "application/json", "/v1/imports": ndjson} {
		resp, err := http.Post(s.URL+path, kind, strings.NewReader(map[string]string{
			"application/json": `{"token":"secret-token"}`, ndjson: `{"id":"anna","tokens":[{"token":"secret-token"}]}`,
		}[kind]))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || strings.Contains(string(b)+log.text(), "secret") {
			t.Errorf("%s: %d %v %s %v", path, resp.StatusCode, resp.Header, b, err)
		}
	}
}

// TestAnExportThatBreaksOffIsSeenToBeBroken: nobody takes a part for the whole.
func TestAnExportThatBreaksOffIsSeenToBeBroken(t *testing.T) {
	t.Parallel()
	s, _ := newFailing(t)
	for _, format := range []string{"ndjson", "csv"} {
		resp, err := http.Get(s.URL + "/v1/exports/availability?format=" + format)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err == nil || !strings.Contains(string(b), "c0") {
			t.Errorf("%s: %d bytes came, and then %v", format, len(b), err)
		}
	}
}

// TestSettingsOfTheAPI: both directions.
func TestSettingsOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.want(t, http.StatusOK, "GET", "/v1/settings", "", ""); got["devices"] != "all" {
		t.Errorf("at first: %v", got)
	}
	for _, d := range []string{"latest", "all"} {
		w.want(t, http.StatusOK, "PUT", "/v1/settings", "", fmt.Sprintf(`{"devices":%q}`, d))
		if got := w.want(t, http.StatusOK, "GET", "/v1/settings", "", ""); got["devices"] != d {
			t.Errorf("got %v, want %s", got, d)
		}
	}
	w.want(t, http.StatusUnprocessableEntity, "PUT", "/v1/settings", "", `{"devices":"some"}`)
	w.want(t, http.StatusUnprocessableEntity, "PUT", "/v1/settings", "", `{}`)
}
