package mailings_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/lab"
	"carillon.example/functions/mailings"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// A world is the function behind a real server, with a real store, a real
// queue, and an FCM of its own.
type world struct {
	*lab.Lab
	*lab.Site
	t      testing.TB
	store  *store.Store
	phones *phones.Server
	clock  *lab.Clock
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Lab: lab.New(t), t: t, phones: lab.Phones(t, phones.Options{}), clock: lab.Noon()}
	w.store = store.New(w.DB(), store.Options{Now: w.clock.Now})
	q := queue.New(w.PubSub(), queue.Topics{Dispatch: "dispatch"})
	t.Cleanup(q.Stop)
	sender, err := fcm.New(t.Context(), fcm.Config{Project: "p", Endpoint: w.phones.URL(), MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	w.Site = lab.Serve(t, mailings.New(mailings.Deps{Store: w.store, Queue: q, Proof: sender, Log: slog.New(slog.DiscardHandler), Now: w.clock.Now}))
	return w
}

type brief struct {
	ID    string     `json:"id"`
	State push.State `json:"state"`
}

const plain = `{"message":{"notification":{"title":"a"}},"audience":{"everyone":true}}`

// hand hands in a good mailing.
func (w *world) hand(body string, header ...string) brief {
	w.t.Helper()
	return lab.Decode[brief](w.Ask("POST", "/v1/mailings", body, header...), http.StatusAccepted)
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
func (w *world) stored() int {
	w.t.Helper()
	return len(lab.Decode[page](w.Ask("GET", "/v1/mailings?pageSize=500", ""), 200).Mailings)
}
