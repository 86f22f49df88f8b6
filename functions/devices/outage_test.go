package devices

import (
	"net/http"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// answeredWithin is far above the timeout of the function under test, and
// below the 60 s after which the clients of Google Cloud give up by themselves.
const answeredWithin = 30 * time.Second

// eachOperation asks every operation in ann's name.
func eachOperation(t *testing.T, w *harness, f func(t *testing.T, a testcloud.Answer)) {
	t.Helper()
	ann := []string{"Authorization", "Bearer " + person("ann")}
	testcloud.EachOperation(t, w.Client, map[string]testcloud.Request{
		"register-device": {Method: "POST", Path: "/v1/devices", Body: `{"token": "t", "platform": "web"}`, Header: ann},
		"report-device-events": {Method: "POST", Path: "/v1/devices/events", Header: ann,
			Body: `{"events": [{"mailing": "m1", "token": "the-token-of-ann", "type": "opened"}]}`},
		"unregister-device": {Method: "DELETE", Path: "/v1/devices/" + push.TokenID("the-token-of-ann"), Header: ann},
	}, func(t *testing.T, s *testcloud.Client, r testcloud.Request) {
		began := time.Now()
		a := s.Ask(r.Method, r.Path, r.Body, r.Header...)
		if took := time.Since(began); took > answeredWithin {
			t.Errorf("answered after %v, want %v at most", took, answeredWithin)
		}
		f(t, a)
	}, ann...)
}

func TestEveryOperationAnswersWithoutFirestore(t *testing.T) {
	t.Parallel()
	for _, outage := range testcloud.Outages() {
		t.Run(string(outage), func(t *testing.T) {
			w := newHarness(t, func(d *Deps) {
				d.Store, d.Timeout = store.New(outage.Firestore(t), store.Options{}), 500*time.Millisecond
			})
			eachOperation(t, w, func(t *testing.T, a testcloud.Answer) {
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
			w := newHarness(t, func(d *Deps) {
				d.Queue, d.Timeout = queue.New(outage.PubSub(t), queue.Topics{Events: "push-events"}), 10*time.Second
			})
			w.register(person("ann"), "the-token-of-ann")
			eachOperation(t, w, func(t *testing.T, a testcloud.Answer) {
				if a.Code >= 400 {
					t.Errorf("answered %v, want success", a)
				}
			})
		})
	}
}
