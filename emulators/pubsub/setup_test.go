package pubsub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"carillon.example/emulators/pubsub"
)

const (
	alpha = "projects/p/topics/alpha"
	dead  = "projects/p/topics/dead"
)

// harness has a server, a client for it, and the topics alpha and dead.
type harness struct {
	t testing.TB
	*pubsub.Server
	*client.Client
}

func start(t testing.TB, o pubsub.Options) *harness {
	t.Helper()
	w := startEmpty(t, o)
	for _, name := range []string{alpha, dead} {
		if _, err := w.TopicAdminClient.CreateTopic(t.Context(), &pb.Topic{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// startEmpty returns a server with what its options say, and no topic besides.
func startEmpty(t testing.TB, o pubsub.Options) *harness {
	t.Helper()
	s, err := pubsub.Start("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewClient(context.Background(), "p", option.WithGRPCConn(conn)) // tests use it in their clean-up, too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &harness{t, s, c}
}

// subscribe creates a subscription of topic alpha, unless s names another.
func (w *harness) subscribe(id string, s *pb.Subscription) string {
	w.t.Helper()
	s.Name = "projects/p/subscriptions/" + id
	if s.Topic == "" {
		s.Topic = alpha
	}
	if _, err := w.SubscriptionAdminClient.CreateSubscription(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
	return s.Name
}

func to(url string) *pb.PushConfig { return &pb.PushConfig{PushEndpoint: url} }

func policy(least, most time.Duration) *pb.RetryPolicy {
	return &pb.RetryPolicy{MinimumBackoff: durationpb.New(least), MaximumBackoff: durationpb.New(most)}
}

func (w *harness) publish(data ...string) []string {
	w.t.Helper()
	msgs := make([]*pb.PubsubMessage, len(data))
	for i, d := range data {
		msgs[i] = &pb.PubsubMessage{Data: []byte(d)}
	}
	return w.publishAll(msgs...)
}

func (w *harness) publishAll(msgs ...*pb.PubsubMessage) []string {
	w.t.Helper()
	r, err := w.TopicAdminClient.Publish(w.t.Context(), &pb.PublishRequest{Topic: alpha, Messages: msgs})
	if err != nil {
		w.t.Fatal(err)
	}
	return r.GetMessageIds()
}

func (w *harness) pull(subscription string, most int32) []*pb.ReceivedMessage {
	w.t.Helper()
	r, err := w.SubscriptionAdminClient.Pull(w.t.Context(), &pb.PullRequest{Subscription: subscription, MaxMessages: most})
	if err != nil {
		w.t.Fatal(err)
	}
	return r.GetReceivedMessages()
}

// idle waits until all messages are pushed.
func (w *harness) idle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	if err := w.WaitIdle(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// A request is a push that an endpoint got.
type request struct {
	body   string
	header http.Header
	at     time.Time
	envelope
}

type envelope struct {
	Message struct {
		Data        []byte
		Attributes  map[string]string
		MessageID   string `json:"messageId"`
		OrderingKey string
	}
	Subscription    string
	DeliveryAttempt int
}

func (r request) data() string { return string(r.Message.Data) }

// endpoint starts an endpoint that answers the nth push, from 1, with a status. The channel
// has the pushes.
func endpoint(t testing.TB, answer func(n int32) int) (string, <-chan request) {
	t.Helper()
	var n atomic.Int32
	got := make(chan request, 10_000)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := request{header: r.Header, at: time.Now()}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a push: %v", err)
		}
		q.body = string(b)
		if err := json.Unmarshal(b, &q.envelope); err != nil {
			t.Errorf("a push is not JSON: %v\n%s", err, b)
		}
		got <- q
		w.WriteHeader(answer(n.Add(1)))
	}), got
}

func serve(t testing.TB, h http.HandlerFunc) string {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func always(status int) func(int32) int { return func(int32) int { return status } }

func next[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case x := <-c:
		return x
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
		panic("unreachable")
	}
}

func none[T any](t testing.TB, c <-chan T) {
	t.Helper()
	select {
	case x := <-c:
		t.Errorf("one more came: %+v", x)
	default:
	}
}

// endpointOf returns an endpoint that answers 500, and for a message "hang" only after hanging is
// closed. pushes gets the data and the attempt of each push.
func endpointOf(t testing.TB, hanging <-chan bool, pushes chan<- string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var e envelope
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Errorf("a push is not JSON: %v", err)
		}
		pushes <- fmt.Sprintf("%s %d", e.Message.Data, e.DeliveryAttempt)
		if string(e.Message.Data) == "hang" {
			<-hanging
		}
		w.WriteHeader(http.StatusInternalServerError)
	}
}
