package devices

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/auth"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const project = "shop-push"

var issuer = testcloud.Issuer(project)

// A harness is the function behind a real server, with a real store and the Admin
// SDK's verifier.
type harness struct {
	*testcloud.Cloud
	*testcloud.Client
	t     *testing.T
	board testcloud.EventRecorder[push.Event]
	store *store.Store
	log   *testcloud.LogBuffer
	sent  []string // what no log line and no answer may hold
}

// newHarness serves the function as change leaves its dependencies.
func newHarness(t *testing.T, change func(*Deps)) *harness {
	t.Helper()
	v, err := auth.New(t.Context(), project, auth.Options{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	w := &harness{Cloud: testcloud.New(t), t: t, log: &testcloud.LogBuffer{}}
	w.store = store.New(w.DB(), store.Options{})
	d := Deps{Store: w.store, Queue: &w.board, Auth: v, Log: w.log.Logger()}
	if change != nil {
		change(&d)
	}
	t.Cleanup(func() { // behind the server's end: then nobody logs any more
		for _, secret := range w.sent {
			if strings.Contains(w.log.String(), secret) {
				t.Errorf("%.12s… stands in the log:\n%s", secret, w.log)
			}
		}
	})
	w.Client = testcloud.Serve(t, New(d))
	return w
}

// down is an outage of Pub/Sub.
func (w *harness) down() { w.board.Fail(&push.Unavailable{Err: errors.New("no Pub/Sub")}) }

// publishedEvents says for which customers events were published, and what they say.
func (w *harness) publishedEvents() (out []string) {
	for _, e := range w.board.Published() {
		d, ok := e.Data.(push.AvailabilityData)
		out = append(out, fmt.Sprint(d.Customer, " ", d.PushAvailable, ok))
	}
	slices.Sort(out)
	return out
}

// ask sends a request with an ID token, "" for none, and further headers.
func (w *harness) ask(method, path, idToken, body string, header ...string) testcloud.Answer {
	w.t.Helper()
	if idToken != "" {
		header = append(header, "Authorization", "Bearer "+idToken)
		w.sent = append(w.sent, idToken)
	}
	a := w.Ask(method, path, body, header...)
	for _, secret := range w.sent {
		if strings.Contains(a.String(), secret) {
			w.t.Errorf("%.12s… is repeated in %v", secret, a)
		}
	}
	return a
}

// register reports a push token for whoever the ID token speaks for.
func (w *harness) register(idToken, token string) testcloud.Answer {
	w.t.Helper()
	w.sent = append(w.sent, token)
	return w.ask("POST", "/v1/devices", idToken, fmt.Sprintf(`{"token":%q,"platform":"android","app":"shop"}`, token))
}

// person is an ID token for a user id.
func person(uid string) string { return issuer.Token(map[string]any{"sub": uid}) }

// tokens are the ids of a customer's tokens.
func (w *harness) tokens(customer string) (out []string) {
	w.t.Helper()
	c, err := w.store.ReadCustomer(w.t.Context(), customer)
	if push.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, t := range c.Tokens {
		out = append(out, t.ID)
	}
	return out
}
