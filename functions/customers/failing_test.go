package customers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// failing is a store that is out of reach for registrations and imports, and
// fails behind the first page of an export.
type failing struct{ *store.Store }

func (failing) RegisterToken(context.Context, string, push.Registration) (store.RegistrationResult, error) {
	return store.RegistrationResult{}, &push.Unavailable{Err: errors.New("no Firestore")}
}

func (failing) ImportCustomers(_ context.Context, lines []store.ImportLine) ([]error, []push.Event, error) {
	return make([]error, len(lines)), nil, &push.Unavailable{Err: errors.New("no Firestore")}
}

func (failing) ListAvailabilities(_ context.Context, after string, size int) ([]store.CustomerAvailability, error) {
	if after != "" {
		return nil, errors.New("no Firestore")
	}
	page := make([]store.CustomerAvailability, size)
	for i := range page {
		page[i].Customer = fmt.Sprintf("c%d", i)
	}
	return page, nil
}

// TestOutOfReach: whoever asks is told to come back, also with an import of
// which part may be stored: a line of it is not called bad.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(Deps{Store: failing{}, Queue: w.queue})
	for path, ask := range map[string][2]string{
		anna + "/tokens": {"application/json", `{"token":"secret-token"}`},
		"/v1/imports":    {ndjson, `{"id":"anna","tokens":[{"token":"secret-token"}]}`},
	} {
		a := w.Ask("POST", path, ask[1], "Content-Type", ask[0])
		if a.Code != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || strings.Contains(a.Body+w.log.String(), "secret") {
			t.Errorf("%s: %v; logged %s", path, a, w.log)
		}
	}
}
