package customers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/firestore"
	emulator "carillon.example/emulators/pubsub"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// database is the embedded Firestore all tests of the package share, or the one
// FIRESTORE_EMULATOR_HOST names. Each test has a project of its own.
var database = sync.OnceValues(func() (string, error) {
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

// topics is the embedded Pub/Sub, or the one PUBSUB_EMULATOR_HOST names.
var topics = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("PUBSUB_EMULATOR_HOST"); host != "" {
		return host, nil
	}
	s, err := emulator.Start("127.0.0.1:0", emulator.Options{})
	if err != nil {
		return "", err
	}
	return s.Addr(), nil
})

// A world is the function over HTTP, with a database and a topic of its own.
type world struct {
	*store.Store
	db   *cloudfs.Client
	url  string
	pull func(t *testing.T, n int) []event
	log  *journal
	down *outage

	mu   sync.Mutex
	time time.Time
}

// event is what came out of the topic.
type event struct {
	ID, Type, Subject string
	raw               string
	Data              struct {
		Customer      string
		PushAvailable bool
		Version       int64
	}
}

// A journal is all that was logged.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// An outage is Pub/Sub out of reach while on is set.
type outage struct {
	publisher
	on bool
}

func (o *outage) Events(ctx context.Context, events ...push.Event) error {
	if o.on {
		return errors.New("no Pub/Sub")
	}
	return o.publisher.Events(ctx, events...)
}

func dial(t *testing.T, server func() (string, error)) *grpc.ClientConn {
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

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{log: &journal{}, time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	project := "test-" + strings.ToLower(rand.Text())
	var err error
	if w.db, err = cloudfs.NewClient(context.Background(), project, option.WithGRPCConn(dial(t, database))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	w.Store = store.New(w.db, store.Options{Now: w.now})
	w.down = &outage{publisher: w.topic(t, project)}
	handler := New(Deps{Store: w.Store, Queue: w.down, Now: w.now, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	mux := http.NewServeMux() // as the functions framework has one
	mux.Handle("/", handler)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

func (w *world) topic(t *testing.T, project string) *queue.Queue {
	t.Helper()
	c, err := pubsub.NewClient(context.Background(), project, option.WithGRPCConn(dial(t, topics)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	topic, sub := "projects/"+project+"/topics/push-events", "projects/"+project+"/subscriptions/s"
	if _, err := c.TopicAdminClient.CreateTopic(t.Context(), &pb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SubscriptionAdminClient.CreateSubscription(t.Context(), &pb.Subscription{Name: sub, Topic: topic}); err != nil {
		t.Fatal(err)
	}
	w.pull = func(t *testing.T, n int) (all []event) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for len(all) < n {
			res, err := c.SubscriptionAdminClient.Pull(ctx, &pb.PullRequest{Subscription: sub, MaxMessages: 10})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range res.GetReceivedMessages() {
				var e event
				if err := json.Unmarshal(m.GetMessage().GetData(), &e); err != nil {
					t.Fatal(err)
				}
				e.raw = string(m.GetMessage().GetData())
				all = append(all, e)
				ack := &pb.AcknowledgeRequest{Subscription: sub, AckIds: []string{m.GetAckId()}}
				if err := c.SubscriptionAdminClient.Acknowledge(ctx, ack); err != nil {
					t.Fatal(err)
				}
			}
		}
		return all
	}
	q := queue.New(c, queue.Topics{Events: "push-events"})
	t.Cleanup(q.Stop)
	return q
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// call answers the status and the body of a request; kind is its Content-Type,
// "" for JSON.
func (w *world) call(t *testing.T, method, path, kind, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "" {
		kind = "application/json"
	}
	if body != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// want makes a call that has to be answered with a status, and decodes its
// answer.
func (w *world) want(t *testing.T, status int, method, path, kind, body string) map[string]any {
	t.Helper()
	got, text := w.call(t, method, path, kind, body)
	if got != status {
		t.Fatalf("%s %s was answered %d, want %d: %s", method, path, got, status, text)
	}
	var v map[string]any
	if text != "" {
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%s %s answered %s: %v", method, path, text, err)
		}
	}
	return v
}

// owed is how many events are in the outbox.
func (w *world) owed(t *testing.T) int {
	t.Helper()
	snaps, err := w.db.Collection("outbox").Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	return len(snaps)
}

// escape encodes every byte that is not a letter, dots included: a client may
// take a dot for a step in a path.
func escape(id string) string {
	return strings.ReplaceAll(url.PathEscape(id), ".", "%2E")
}
