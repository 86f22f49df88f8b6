package customers

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

const (
	anna   = "/v1/customers/anna"
	ndjson = "application/x-ndjson"
	merge  = "application/merge-patch+json"
)

// A harness is the function over HTTP, with a database and a topic of its own.
type harness struct {
	*testcloud.Cloud
	*testcloud.Client
	*store.Store
	t     testing.TB
	queue *queue.Queue
	clock *testcloud.Clock
	log   *testcloud.LogBuffer
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	w := &harness{Cloud: testcloud.New(t), t: t, clock: testcloud.Noon(), log: &testcloud.LogBuffer{}}
	w.Store = store.New(w.DB(), store.Options{Now: w.clock.Now})
	w.Topic("push-events")
	w.queue = queue.New(w.PubSub(), queue.Topics{Events: "push-events"})
	t.Cleanup(w.queue.Stop)
	w.serve(Deps{Store: w.Store, Queue: w.queue})
	return w
}

// serve puts the function over d in the place of what was asked before.
func (w *harness) serve(d Deps) {
	d.Now, d.Log = w.clock.Now, w.log.Logger()
	mux := http.NewServeMux() // as the functions framework has one
	mux.Handle("/", New(d))
	w.Client = testcloud.Serve(w.t, mux)
}

// want asks and has to be answered with that code; it decodes the answer.
func (w *harness) want(code int, method, path, body string, header ...string) map[string]any {
	w.t.Helper()
	a := w.Ask(method, path, body, header...)
	if a.Code != code {
		w.t.Fatalf("%s %s was answered %d, want %d: %s", method, path, a.Code, code, a.Body)
	}
	if a.Body == "" {
		return nil
	}
	return testcloud.Decode[map[string]any](a, code)
}

// event is what came out of the topic.
type event struct {
	Type string
	raw  string
	Data struct {
		Customer      string
		PushAvailable bool
		Availability  push.Availability
	}
}

// published takes n events off the topic and expects no more of them.
func (w *harness) published(n int) (out []event) {
	w.t.Helper()
	for _, m := range w.Published("push-events", n) {
		e := event{raw: m.Data}
		if err := json.Unmarshal([]byte(m.Data), &e); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// escape encodes every byte that is not a letter, dots included: a client may
// take a dot for a step in a path.
func escape(id string) string {
	return strings.ReplaceAll(url.PathEscape(id), ".", "%2E")
}
