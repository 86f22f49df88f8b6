package customers

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// failingStore makes a store that is out of reach for registrations and imports, and
// fails after the first page of an export.
func failingStore() *storetest.FailingStore {
	s := storetest.New(nil)
	s.Before(storetest.Fail(&push.Unavailable{Err: errors.New("no Firestore")}), storetest.RegisterToken, storetest.ImportCustomers)
	return s.Before(func(c *storetest.Call) error {
		if after := storetest.Arg[string](c, 0); after != "" {
			return errors.New("no Firestore")
		}

		page := make([]store.CustomerAvailability, storetest.Arg[int](c, 1))
		for i := range page {
			page[i].Customer = fmt.Sprintf("c%d", i)
		}
		c.Answer(page)
		return nil
	}, storetest.ListAvailabilities)
}

// TestOutOfReach: every request is answered 503 with Retry-After, also with an import of
// which part may be stored: a line of it is not called bad.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.serve(Deps{Store: failingStore(), Queue: w.queue})
	for path, ask := range map[string][2]string{
		anna + "/tokens": {"application/json", `{"token":"secret-token"}`},
		"/v1/imports":    {ndjson, `{"id":"anna","tokens":[{"token":"secret-token"}]}`},
	} {
		a := w.Ask("POST", path, ask[1], "Content-Type", ask[0])
		testcloud.CheckCode(t, a, http.StatusServiceUnavailable)
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: header Retry-After is empty, want a value", path)
		}
		check.NotContains(t, a.Body+w.log.String(), "secret", "%s: body and log", path)
	}
}
