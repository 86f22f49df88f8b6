package queue_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	emulator "carillon.example/emulators/pubsub"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// open gives a queue over a Pub/Sub of its own, and a subscription to all its
// topics.
func open(t *testing.T) (*queue.Queue, func(n int) []*pb.PubsubMessage) {
	t.Helper()
	host := os.Getenv("PUBSUB_EMULATOR_HOST")
	if host == "" {
		s, err := emulator.Start("127.0.0.1:0", emulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		host = s.Addr()
	}
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	project := "p" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	c, err := pubsub.NewClient(t.Context(), project, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	topic, sub := "projects/"+project+"/topics/t", "projects/"+project+"/subscriptions/s"
	if _, err := c.TopicAdminClient.CreateTopic(t.Context(), &pb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SubscriptionAdminClient.CreateSubscription(t.Context(), &pb.Subscription{Name: sub, Topic: topic}); err != nil {
		t.Fatal(err)
	}
	q := queue.New(c, queue.Topics{Dispatch: "t", Deliver: "t", Events: "t"})
	t.Cleanup(q.Stop)
	return q, func(n int) (all []*pb.PubsubMessage) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for len(all) < n {
			res, err := c.SubscriptionAdminClient.Pull(ctx, &pb.PullRequest{Subscription: sub, MaxMessages: int32(n)})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range res.GetReceivedMessages() {
				all = append(all, m.GetMessage())
			}
		}
		return all
	}
}

func TestOrdersAndBatchesArrive(t *testing.T) {
	t.Parallel()
	q, pull := open(t)
	if err := q.Dispatch(t.Context(), push.DispatchOrder{Mailing: "m", Shard: push.Start}); err != nil {
		t.Fatal(err)
	}
	if err := q.Deliver(t.Context(), push.Ref{Mailing: "m", Batch: "b1"}, push.Ref{Mailing: "m", Batch: "b2"}); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, m := range pull(3) {
		got[string(m.GetData())] = true
	}
	for _, want := range []string{`{"mailing":"m","shard":-1}`, `{"mailing":"m","batch":"b1"}`, `{"mailing":"m","batch":"b2"}`} {
		if !got[want] {
			t.Errorf("%s did not arrive; %v did", want, got)
		}
	}
}

// TestEventIsACloudEvent holds the wire form of an event.
func TestEventIsACloudEvent(t *testing.T) {
	t.Parallel()
	q, pull := open(t)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	c := &push.Customer{ID: "anna", Version: 7, Availability: 7}
	if err := q.Events(t.Context(), push.AvailabilityEvent(c, at)); err != nil {
		t.Fatal(err)
	}
	m := pull(1)[0]
	want := `{"specversion":"1.0","id":"` + c.Key() + `-a7","source":"//carillon","type":"customer.availability.changed",` +
		`"subject":"customers/anna","time":"2026-11-01T12:00:00Z","datacontenttype":"application/json",` +
		`"data":{"customer":"anna","pushAvailable":false,"version":7}}`
	if string(m.GetData()) != want {
		t.Errorf("published\n%s\nwant\n%s", m.GetData(), want)
	}
	if m.GetAttributes()["type"] != push.AvailabilityChanged || m.GetAttributes()["content-type"] != "application/cloudevents+json" {
		t.Errorf("attributes %v", m.GetAttributes())
	}
}

func TestPublishingFailsAloud(t *testing.T) {
	t.Parallel()
	q, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := q.Deliver(ctx, push.Ref{Mailing: "m", Batch: "b"})
	if err == nil || !strings.Contains(err.Error(), "batches") {
		t.Errorf("publishing with an ended context: %v", err)
	}
	if err := queue.New(nil, queue.Topics{}).Dispatch(t.Context(), push.DispatchOrder{}); err == nil {
		t.Error("publishing to no topic was no error")
	}
	if err := queue.New(nil, queue.Topics{}).Dispatch(t.Context()); err != nil {
		t.Errorf("publishing nothing: %v", err)
	}
}

func TestReceive(t *testing.T) {
	t.Parallel()
	var got queue.Message
	answer := queue.Ack
	srv := httptest.NewServer(queue.Receive(func(_ context.Context, m queue.Message) queue.Settlement {
		got = m
		return answer
	}))
	defer srv.Close()
	post := func(method, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	const body = `{"message":{"data":"aGVsbG8=","attributes":{"CloudPubSubDeadLetterSourceSubscription":"deliver"},"messageId":"17",` +
		`"publishTime":"2026-11-01T12:00:00Z"},"subscription":"projects/p/subscriptions/s","deliveryAttempt":3}`
	if code := post("POST", body); code != http.StatusNoContent {
		t.Errorf("acknowledged by %d", code)
	}
	if string(got.Data) != "hello" || got.ID != "17" || got.Attempt != 3 || got.Subscription != "projects/p/subscriptions/s" ||
		got.PublishTime.IsZero() || got.DeadLetterOf() != "deliver" {
		t.Errorf("decoded %+v", got)
	}
	answer = queue.Redeliver
	if code := post("POST", body); code != http.StatusServiceUnavailable {
		t.Errorf("handed back by %d", code)
	}
	for _, c := range []struct {
		method, body string
		want         int
	}{
		{"GET", "", 405}, {"POST", "", 400}, {"POST", "nonsense", 400}, {"POST", `{"subscription":"s"}`, 400},
		{"POST", `{"message":{"data":"not base64!"}}`, 400}, {"POST", `{"message":{"data":"` + strings.Repeat("a", 15<<20) + `"}}`, 400},
	} {
		if code := post(c.method, c.body); code != c.want {
			t.Errorf("%s %.30s was answered %d, want %d", c.method, c.body, code, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"message":{"data":"aGVsbG8=","messageId":"17","publishTime":"2026-11-01T12:00:00Z"},"subscription":"s","deliveryAttempt":3}`))
	f.Add([]byte(`{"message":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := queue.Decode(b)
		if err == nil && !json.Valid(b) {
			t.Fatalf("%q was taken for a message: %+v", b, m)
		}
	})
}
