package mailings_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/functions/mailings"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// A harness is the function behind a real server, with a real store, a real
// queue, and an FCM of its own.
type harness struct {
	*testcloud.Cloud
	*testcloud.Client
	t      testing.TB
	store  *store.Store
	phones *phones.Server
	clock  *testcloud.Clock
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	w := &harness{Cloud: testcloud.New(t), t: t, phones: testcloud.Phones(t, phones.Options{}), clock: testcloud.Noon()}
	w.store = store.New(w.DB(), store.Options{Now: w.clock.Now})
	q := queue.New(w.PubSub(), queue.Topics{Dispatch: "dispatch", Messages: "messages"})
	t.Cleanup(q.Stop)
	sender, err := fcm.New(t.Context(), fcm.Config{Project: "p", Endpoint: w.phones.URL(), MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	w.Client = testcloud.Serve(t, mailings.New(mailings.Deps{Store: w.store, Queue: q, Proof: sender, Log: slog.New(slog.DiscardHandler), Now: w.clock.Now}))
	return w
}

type brief struct {
	ID    string     `json:"id"`
	State push.State `json:"state"`
}

const plain = `{"message":{"notification":{"title":"a"}},"audience":{"everyone":true}}`

// hand hands in a good mailing.
func (w *harness) hand(body string, header ...string) brief {
	w.t.Helper()
	return testcloud.Decode[brief](w.Ask("POST", "/v1/mailings", body, header...), http.StatusAccepted)
}

// A page is what GET /v1/mailings answers.
type page struct {
	Mailings []struct {
		ID        string     `json:"id"`
		State     push.State `json:"state"`
		CreatedAt time.Time  `json:"createdAt"`
	} `json:"mailings"`
	NextPageToken string `json:"nextPageToken"`
}

// stored counts the mailings that are recorded.
func (w *harness) stored() int {
	w.t.Helper()
	return len(testcloud.Decode[page](w.Ask("GET", "/v1/mailings?pageSize=500", ""), 200).Mailings)
}
