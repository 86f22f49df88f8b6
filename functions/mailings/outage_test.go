package mailings_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/functions/mailings"
	"carillon.example/shared/api"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// message is a valid message, and messageID is the id of a stored one.
const (
	message   = `{"customer":"anna","message":{"notification":{"title":"a"}}}`
	messageID = "s1"
)

// requestsFor has a good request for every operation on that mailing.
func requestsFor(id string) map[string]testcloud.Request {
	return map[string]testcloud.Request{
		"create-mailing":      {Method: "POST", Path: "/v1/mailings", Body: plain, Header: []string{"Idempotency-Key", "k"}},
		"preview-mailing":     {Method: "POST", Path: "/v1/mailings/preview", Body: plain},
		"list-mailings":       {Method: "GET", Path: "/v1/mailings"},
		"show-mailing":        {Method: "GET", Path: "/v1/mailings/" + id},
		"cancel-mailing":      {Method: "POST", Path: "/v1/mailings/" + id + "/cancel"},
		"pause-mailing":       {Method: "POST", Path: "/v1/mailings/" + id + "/pause"},
		"resume-mailing":      {Method: "POST", Path: "/v1/mailings/" + id + "/resume"},
		"flag-held-mailing":   {Method: "POST", Path: "/v1/mailings/" + id + "/flag-held"},
		"drop-held-mailing":   {Method: "POST", Path: "/v1/mailings/" + id + "/drop-held"},
		"list-recipients":     {Method: "GET", Path: "/v1/mailings/" + id + "/recipients"},
		"show-timeline":       {Method: "GET", Path: "/v1/mailings/" + id + "/timeline"},
		"list-invalid-tokens": {Method: "GET", Path: "/v1/mailings/" + id + "/invalid-tokens"},
		"send-message":        {Method: "POST", Path: "/v1/messages", Body: message, Header: []string{"Idempotency-Key", "k"}},
		"send-messages":       {Method: "POST", Path: "/v1/messages:batch", Body: `{"messages":[` + message + `]}`, Header: []string{"Idempotency-Key", "k"}},
		"show-message":        {Method: "GET", Path: "/v1/messages/" + messageID},
		"unflag":              {Method: "POST", Path: "/v1/mailings/" + id + "/unflag"},
	}
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

// checkUnavailable checks that an answer is 503 with Retry-After.
func checkUnavailable(t *testing.T, a testcloud.Answer) {
	t.Helper()
	if a.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %v, want 503", a)
	}
	if a.Header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %v", a)
	}
}

// acceptingProver accepts every payload.
type acceptingProver struct{}

func (acceptingProver) ProvePayload(context.Context, *fcm.Message) fcm.Answer {
	return fcm.Answer{Class: fcm.Accepted}
}

// tenSeconds is an API that has ten seconds for a request.
var tenSeconds = api.Options{Timeout: 10 * time.Second}

func TestEveryOperationAnswersWithoutFirestore(t *testing.T) {
	t.Parallel()
	for _, outage := range testcloud.Outages() {
		t.Run(string(outage), func(t *testing.T) {
			q := queue.New(testcloud.New(t).PubSub(), queue.Topics{Dispatch: "dispatch", Events: "push-events"})
			t.Cleanup(q.Stop)
			site := testcloud.Serve(t, mailings.New(mailings.Deps{Store: store.New(outage.Firestore(t), store.Options{}), Queue: q, Proof: acceptingProver{},
				Log: slog.New(slog.DiscardHandler), API: api.Options{Timeout: 500 * time.Millisecond}}))
			testcloud.EachOperation(t, site, requestsFor("m1"), func(t *testing.T, s *testcloud.Client, r testcloud.Request) {
				checkUnavailable(t, askInTime(t, s, r))
			})
			t.Run("create-mailing without a key", func(t *testing.T) {
				t.Parallel()
				checkUnavailable(t, askInTime(t, testcloud.At(t, site.URL), testcloud.Request{Method: "POST", Path: "/v1/mailings", Body: plain}))
			})
		})
	}
}

// TestEveryOperationAnswersWithoutPubSub: without Pub/Sub a request with an Idempotency-Key
// gets 503, so that the client repeats it. Every other request succeeds, and tick publishes
// its message.
func TestEveryOperationAnswersWithoutPubSub(t *testing.T) {
	t.Parallel()
	for _, outage := range testcloud.Outages() {
		t.Run(string(outage), func(t *testing.T) {
			w := newHarness(t)
			paused := w.hand(plain)
			w.Ask("POST", "/v1/mailings/"+paused.ID+"/pause", "")
			q := queue.New(outage.PubSub(t), queue.Topics{Dispatch: "dispatch", Messages: "messages", Events: "push-events"})
			site := testcloud.Serve(t, mailings.New(mailings.Deps{Store: w.store, Queue: q, Proof: acceptingProver{}, Log: slog.New(slog.DiscardHandler), API: tenSeconds}))
			if _, _, err := w.store.CreateMessage(t.Context(), push.NewMessage(messageID, "", push.MessageDraft{Customer: "anna"}, time.Now())); err != nil {
				t.Fatal(err)
			}
			requests := requestsFor(w.hand(plain).ID)
			requests["resume-mailing"] = testcloud.Request{Method: "POST", Path: "/v1/mailings/" + paused.ID + "/resume"}
			testcloud.EachOperation(t, site, requests, func(t *testing.T, s *testcloud.Client, r testcloud.Request) {
				a := askInTime(t, s, r)
				switch {
				case r.Header != nil:
					checkUnavailable(t, a)
				case a.Code >= 400 && a.Code != http.StatusConflict:
					t.Errorf("answered %v, want success", a)
				}
			})
			t.Run("create-mailing without a key", func(t *testing.T) {
				t.Parallel()
				if a := askInTime(t, testcloud.At(t, site.URL), testcloud.Request{Method: "POST", Path: "/v1/mailings", Body: plain}); a.Code != http.StatusAccepted {
					t.Errorf("answered %v, want 202", a)
				}
			})
		})
	}
}

// TestEveryOperationNeedsAPermission: a caller without permissions gets 403 from every operation.
func TestEveryOperationNeedsAPermission(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	site := testcloud.Serve(t, mailings.New(mailings.Deps{Store: w.store, Proof: acceptingProver{}, Log: slog.New(slog.DiscardHandler), API: api.Options{Callers: push.Callers{}}}))
	testcloud.EachOperation(t, site, requestsFor("m1"), func(t *testing.T, s *testcloud.Client, r testcloud.Request) {
		if a := s.Ask(r.Method, r.Path, r.Body, r.Header...); a.Code != http.StatusForbidden {
			t.Errorf("answered %v, want 403", a)
		}
	})
}
