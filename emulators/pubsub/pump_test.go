package pubsub_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
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

const project = "projects/p"

// world is a server, a client, and the topics t and dead.
type world struct {
	t *testing.T
	*pubsub.Server
	*client.Client
}

func start(t *testing.T, o pubsub.Options) *world {
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
	c, err := client.NewClient(t.Context(), "p", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w := &world{t, s, c}
	for _, name := range []string{"t", "dead"} {
		if _, err := c.TopicAdminClient.CreateTopic(t.Context(), &pb.Topic{Name: project + "/topics/" + name}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) subscribe(s *pb.Subscription) {
	w.t.Helper()
	s.Name, s.Topic = project+"/subscriptions/"+s.Name, project+"/topics/"+s.Topic
	if _, err := w.SubscriptionAdminClient.CreateSubscription(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) publish(topic, data string) {
	w.t.Helper()
	p := w.Publisher(topic)
	defer p.Stop()
	if _, err := p.Publish(w.t.Context(), &client.Message{Data: []byte(data), Attributes: map[string]string{"k": "v"}}).Get(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// endpoint answers pushes with what answer says, and hands over their bodies.
func endpoint(t *testing.T, answer func(n int32) int) (string, <-chan string) {
	t.Helper()
	var n atomic.Int32
	bodies := make(chan string, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- string(b)
		w.WriteHeader(answer(n.Add(1)))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, bodies
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case x := <-c:
		return x
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestEnvelopeIsThatOfPubSub(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	url, bodies := endpoint(t, func(int32) int { return 204 })
	w.subscribe(&pb.Subscription{Name: "s", Topic: "t", PushConfig: &pb.PushConfig{PushEndpoint: url},
		DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: project + "/topics/dead", MaxDeliveryAttempts: 5}})
	w.publish("t", "hello")
	var got struct {
		Message struct {
			Data        []byte
			Attributes  map[string]string
			MessageID   string `json:"messageId"`
			PublishTime time.Time
		}
		Subscription    string
		DeliveryAttempt int
	}
	body := next(t, bodies)
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if string(got.Message.Data) != "hello" || got.Message.Attributes["k"] != "v" || got.Message.MessageID == "" ||
		got.Message.PublishTime.IsZero() || got.Subscription != project+"/subscriptions/s" || got.DeliveryAttempt != 1 {
		t.Errorf("pushed %s", body)
	}
}

// TestNackBacksOffAndDeadLetters: what is not acknowledged comes back, later
// each time, and goes to the dead letter topic with its attributes in the end.
func TestNackBacksOffAndDeadLetters(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.001})
	url, _ := endpoint(t, func(int32) int { return 500 })
	grave, buried := endpoint(t, func(int32) int { return 200 })
	seen, stop := w.Server.Subscribe()
	defer stop()
	w.subscribe(&pb.Subscription{Name: "graves", Topic: "dead", PushConfig: &pb.PushConfig{PushEndpoint: grave}})
	w.subscribe(&pb.Subscription{Name: "s", Topic: "t", PushConfig: &pb.PushConfig{PushEndpoint: url},
		RetryPolicy:      &pb.RetryPolicy{MinimumBackoff: durationpb.New(10 * time.Second), MaximumBackoff: durationpb.New(20 * time.Second)},
		DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: project + "/topics/dead", MaxDeliveryAttempts: 5}})
	w.publish("t", "bad")
	for want := 1; want <= 5; want++ {
		d := next(t, seen)
		if d.Attempt != want || d.Status != 500 || d.DeadLettered != (want == 5) {
			t.Fatalf("delivery %d was %+v", want, d)
		}
	}
	body := next(t, buried)
	for _, want := range []string{`"CloudPubSubDeadLetterSourceDeliveryCount":"5"`, `"CloudPubSubDeadLetterSourceSubscription":"s"`,
		`"CloudPubSubDeadLetterSourceSubscriptionProject":"p"`, `"CloudPubSubDeadLetterSourceTopicPublishTime"`, `"k":"v"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the dead letter lacks %s: %s", want, body)
		}
	}
	if strings.Contains(body, "deliveryAttempt") {
		t.Errorf("a subscription without a dead letter counts attempts: %s", body)
	}
}

func TestAckCodes(t *testing.T) {
	t.Parallel()
	for code, acked := range map[int]bool{200: true, 201: true, 202: true, 204: true, 203: false, 302: false, 400: false, 503: false} {
		w := start(t, pubsub.Options{})
		url, _ := endpoint(t, func(n int32) int {
			if n == 1 {
				return code
			}
			return 200
		})
		seen, stop := w.Server.Subscribe()
		w.subscribe(&pb.Subscription{Name: "s", Topic: "t", PushConfig: &pb.PushConfig{PushEndpoint: url}})
		w.publish("t", "x")
		if d := next(t, seen); d.Status != code {
			t.Errorf("the answer was %d, not %d", d.Status, code)
		}
		if !acked {
			if d := next(t, seen); d.Attempt != 2 || d.Status != 200 {
				t.Errorf("after %d came %+v, not a second attempt", code, d)
			}
		}
		eventually(t, w.Idle)
		stop()
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("it never came to rest")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestSideBySideUpToTheLimit: so many pushes at once, and no more.
func TestSideBySideUpToTheLimit(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{InFlight: 3})
	var now, most atomic.Int32
	full, release := make(chan struct{}, 10), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		full <- struct{}{}
		<-release
	}))
	defer srv.Close()
	seen, stop := w.Server.Subscribe()
	defer stop()
	w.subscribe(&pb.Subscription{Name: "s", Topic: "t", PushConfig: &pb.PushConfig{PushEndpoint: srv.URL}})
	for range 7 {
		w.publish("t", "x")
	}
	for range 3 {
		next(t, full)
	}
	close(release)
	for range 7 {
		next(t, seen)
	}
	if most.Load() != 3 {
		t.Errorf("%d pushes were under way at once, want 3", most.Load())
	}
}

func TestSubscriptionsAreFollowed(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	first, atFirst := endpoint(t, func(int32) int { return 200 })
	second, atSecond := endpoint(t, func(int32) int { return 200 })
	w.subscribe(&pb.Subscription{Name: "pull", Topic: "t"})
	w.subscribe(&pb.Subscription{Name: "s", Topic: "t", PushConfig: &pb.PushConfig{PushEndpoint: first}})
	w.publish("t", "one")
	next(t, atFirst)
	err := w.SubscriptionAdminClient.ModifyPushConfig(t.Context(), &pb.ModifyPushConfigRequest{
		Subscription: project + "/subscriptions/s", PushConfig: &pb.PushConfig{PushEndpoint: second}})
	if err != nil {
		t.Skipf("this pstest cannot change a push configuration: %v", err)
	}
	w.publish("t", "two")
	next(t, atSecond)
	res, err := w.SubscriptionAdminClient.Pull(t.Context(), &pb.PullRequest{Subscription: project + "/subscriptions/pull", MaxMessages: 10})
	if err != nil || len(res.GetReceivedMessages()) != 2 {
		t.Errorf("a pull subscription holds %d messages, want both (%v)", len(res.GetReceivedMessages()), err)
	}
	if u := w.Usage(); u.Messages != 2 || u.Bytes != 2000 {
		t.Errorf("billed %+v, want 2 messages of 1,000 bytes at least", u)
	}
}
