package customers

import (
	"net/http"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// requests has a good request for every operation.
var requests = map[string]testcloud.Request{
	"show-customer":          {Method: "GET", Path: anna},
	"list-customer-messages": {Method: "GET", Path: anna + "/messages"},
	"change-customer":        {Method: "PATCH", Path: anna, Body: `{"optedOut": true}`},
	"erase-customer":         {Method: "DELETE", Path: anna},
	"register-token":         {Method: "POST", Path: anna + "/tokens", Body: `{"token": "t", "platform": "web"}`},
	"report-events":          {Method: "POST", Path: "/v1/events", Body: `{"events": [{"mailing": "m1", "token": "t", "type": "opened"}]}`},
	"unregister-token":       {Method: "DELETE", Path: anna + "/tokens/" + push.TokenID("t")},
	"export-availability":    {Method: "GET", Path: "/v1/exports/availability"},
	"import-customers":       {Method: "POST", Path: "/v1/imports", Body: `{"id": "anna", "tokens": [{"token": "t"}]}`, Header: []string{"Content-Type", ndjson}},
	"show-stats":             {Method: "GET", Path: "/v1/stats"},
	"show-settings":          {Method: "GET", Path: "/v1/settings"},
	"change-settings":        {Method: "PUT", Path: "/v1/settings", Body: `{"devices": "all"}`},
}

// answeredWithin is far above the timeout of the function under test, and
// below the 60 s after which the clients of Google Cloud give up by themselves.
const answeredWithin = 30 * time.Second

// askInTime sends a request that has to be answered within the function's timeout.
func askInTime(t *testing.T, s *testcloud.Client, r testcloud.Request) testcloud.Answer {
	t.Helper()
	began := time.Now()
	a := s.Ask(r.Method, r.Path, r.Body, r.Header...)
	if took := time.Since(began); took > answeredWithin {
		t.Errorf("answered after %v, want %v at most", took, answeredWithin)
	}
	return a
}

func TestEveryOperationAnswersWithoutFirestore(t *testing.T) {
	t.Parallel()
	for _, outage := range testcloud.Outages() {
		t.Run(string(outage), func(t *testing.T) {
			w := newHarness(t)
			w.serve(Deps{Store: store.New(outage.Firestore(t), store.Options{}), Queue: w.queue, API: api.Options{Timeout: 500 * time.Millisecond}})
			testcloud.EachOperation(t, w.Client, requests, func(t *testing.T, s *testcloud.Client, r testcloud.Request) {
				a := askInTime(t, s, r)
				if a.Code != http.StatusServiceUnavailable {
					t.Errorf("answered %v, want 503", a)
				}
				if a.Header.Get("Retry-After") == "" {
					t.Errorf("no Retry-After: %v", a)
				}
			})
		})
	}
}

// TestEveryOperationAnswersWithoutPubSub: what is stored is answered as stored,
// for tick publishes its events.
func TestEveryOperationAnswersWithoutPubSub(t *testing.T) {
	t.Parallel()
	for _, outage := range testcloud.Outages() {
		t.Run(string(outage), func(t *testing.T) {
			w := newHarness(t)
			q := queue.New(outage.PubSub(t), queue.Topics{Events: "push-events"})
			w.serve(Deps{Store: w.Store, Queue: q, API: api.Options{Timeout: 10 * time.Second}})
			testcloud.EachOperation(t, w.Client, requests, func(t *testing.T, s *testcloud.Client, r testcloud.Request) {
				a := askInTime(t, s, r)
				if a.Code >= 400 && a.Code != http.StatusNotFound {
					t.Errorf("answered %v, want success", a)
				}
			})
		})
	}
}

// TestEveryOperationNeedsAPermission: a caller who may do nothing may do nothing.
func TestEveryOperationNeedsAPermission(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.serve(Deps{Store: w.Store, Queue: w.queue, API: api.Options{Callers: push.Callers{}}})
	testcloud.EachOperation(t, w.Client, requests, func(t *testing.T, s *testcloud.Client, r testcloud.Request) {
		if a := s.Ask(r.Method, r.Path, r.Body, r.Header...); a.Code != http.StatusForbidden {
			t.Errorf("answered %v, want 403", a)
		}
	})
}
