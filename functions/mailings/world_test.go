package mailings_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"
	cloudps "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/pubsub"
	"carillon.example/functions/mailings"
	"carillon.example/shared/api"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// fireServer and pubServer are shared by the tests of the package, or the ones
// that the two variables name. Each test has a project of its own.
var fireServer = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("FIRESTORE_EMULATOR_HOST"); host != "" {
		return host, nil
	}
	indexes, err := os.ReadFile("../../firestore.indexes.json")
	if err != nil {
		return "", err
	}
	s, err := firestore.Start("127.0.0.1:0", firestore.Options{RequireIndexes: indexes})
	if err != nil {
		return "", err
	}
	return s.Addr(), nil
})

var pubServer = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("PUBSUB_EMULATOR_HOST"); host != "" {
		return host, nil
	}
	s, err := pubsub.Start("127.0.0.1:0", pubsub.Options{})
	if err != nil {
		return "", err
	}
	return s.Addr(), nil
})

// A world is the function behind a real server, with a real store, a real
// queue, and an FCM of its own.
type world struct {
	t      testing.TB
	url    string
	store  *store.Store
	phones *phones.Server
	ps     *cloudps.Client
	name   string // of the project

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func dial(t testing.TB, server func() (string, error)) *grpc.ClientConn {
	t.Helper()
	host, err := server()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, name: "test-" + strings.ToLower(rand.Text()), now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	db, err := cloudfs.NewClient(context.Background(), w.name, option.WithGRPCConn(dial(t, fireServer)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if w.ps, err = cloudps.NewClient(context.Background(), w.name, option.WithGRPCConn(dial(t, pubServer))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.ps.Close() })
	if w.phones, err = phones.Start("127.0.0.1:0", phones.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.phones.Close)
	sender, err := fcm.New(t.Context(), fcm.Config{Project: w.name, Endpoint: w.phones.URL(), MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	w.topic("push-events")
	w.store = store.New(db, store.Options{Now: w.clock})
	q := queue.New(w.ps, queue.Topics{Dispatch: "dispatch", Events: "push-events"})
	t.Cleanup(q.Stop)
	s := httptest.NewServer(mailings.New(mailings.Deps{Store: w.store, Queue: q, Proof: sender, Log: slog.New(slog.DiscardHandler), Now: w.clock}))
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

// topic makes a topic and a subscription to see what comes there.
func (w *world) topic(name string) {
	w.t.Helper()
	topic := fmt.Sprintf("projects/%s/topics/%s", w.name, name)
	if _, err := w.ps.TopicAdminClient.CreateTopic(w.t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
		w.t.Fatal(err)
	}
	sub := &pubsubpb.Subscription{Name: w.subscription(name), Topic: topic, AckDeadlineSeconds: 600}
	if _, err := w.ps.SubscriptionAdminClient.CreateSubscription(w.t.Context(), sub); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) subscription(topic string) string {
	return fmt.Sprintf("projects/%s/subscriptions/%s", w.name, topic)
}

// published takes n messages off a topic and expects no more of them.
func (w *world) published(topic string, n int) (out []string) {
	w.t.Helper()
	pull := func() int {
		//lint:ignore SA1019 nothing is to come that is not there
		req := &pubsubpb.PullRequest{Subscription: w.subscription(topic), MaxMessages: 100, ReturnImmediately: true} //nolint:staticcheck // as above
		res, err := w.ps.SubscriptionAdminClient.Pull(w.t.Context(), req)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, m := range res.GetReceivedMessages() {
			out = append(out, string(m.GetMessage().GetData()))
		}
		return len(res.GetReceivedMessages())
	}
	for len(out) <= n && pull() > 0 {
		continue // with what is left
	}
	if len(out) != n {
		w.t.Errorf("topic %s got %d messages, want %d: %v", topic, len(out), n, out)
	}
	return out
}

type reply struct {
	status int
	header http.Header
	text   string
}

// ask sends a body as it is, with headers as pairs.
func (w *world) ask(method, path, body string, header ...string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if kind := res.Header.Get("Content-Type"); res.StatusCode >= 400 && kind != "application/problem+json" {
		w.t.Errorf("%s %s: %d came as %q", method, path, res.StatusCode, kind)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

// places are where the faults of a reply are, with what is said of each.
func (r reply) places(t testing.TB) (out []string, said string) {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(r.text), &p); err != nil {
		t.Fatalf("%d is no problem: %v: %s", r.status, err, r.text)
	}
	for _, f := range p.Errors {
		out = append(out, f.Location)
	}
	return out, r.text
}

// decode reads a reply of that status.
func decode[T any](t testing.TB, r reply, status int) (out T) {
	t.Helper()
	if r.status != status {
		t.Fatalf("%d %s, want %d", r.status, r.text, status)
	}
	if err := json.Unmarshal([]byte(r.text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

type brief struct {
	ID    string     `json:"id"`
	State push.State `json:"state"`
}

const plain = `{"message":{"notification":{"title":"a"}},"audience":{"everyone":true}}`

// hand hands in a good mailing.
func (w *world) hand(body string, header ...string) brief {
	w.t.Helper()
	return decode[brief](w.t, w.ask("POST", "/v1/mailings", body, header...), http.StatusAccepted)
}

// listed is what GET /v1/mailings answers.
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
	return len(decode[page](w.t, w.ask("GET", "/v1/mailings?pageSize=500", ""), 200).Mailings)
}
