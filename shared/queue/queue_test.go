package queue_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// open returns a queue on a Pub/Sub emulator of its own. All its topics are the same one.
func open(t *testing.T) (*queue.Queue, *testcloud.Cloud) {
	t.Helper()
	l := testcloud.New(t)
	l.Topic("topic")
	q := queue.New(l.PubSub(), queue.Topics{Dispatch: "topic", Deliver: "topic", Messages: "topic", Events: "topic"})
	t.Cleanup(q.Stop)
	return q, l
}

func TestDispatchMessagesAndBatchesArrive(t *testing.T) {
	t.Parallel()
	q, l := open(t)
	if err := q.PublishDispatch(t.Context(), push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart}); err != nil {
		t.Fatal(err)
	}
	if err := q.PublishBatches(t.Context(), push.LaneLarge, push.BatchRef{Mailing: "m", Batch: "b1"}, push.BatchRef{Mailing: "m", Batch: "b2"}); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, m := range l.Published("topic", 3) {
		got[m.Data] = true
	}
	for _, want := range []string{`{"mailing":"m","shard":-1}`, `{"mailing":"m","batch":"b1"}`, `{"mailing":"m","batch":"b2"}`} {
		if !got[want] {
			t.Errorf("%s did not arrive; the messages are %v", want, got)
		}
	}
}

// TestEventIsACloudEvent checks the wire format of an event.
func TestEventIsACloudEvent(t *testing.T) {
	t.Parallel()
	q, l := open(t)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	c := &push.Customer{ID: "anna", Version: 7, Availability: 7, Reported: push.Availability{State: push.StateUnreachable, Since: at, Evidence: push.CodeUnregistered}}
	if err := q.PublishEvents(t.Context(), push.AvailabilityEvent(c, at)); err != nil {
		t.Fatal(err)
	}
	m := l.Published("topic", 1)[0]
	want := `{"specversion":"1.0","id":"` + c.DocumentKey() + `-a7","source":"//carillon","type":"customer.availability.changed",` +
		`"subject":"customers/anna","time":"2026-11-01T12:00:00Z","datacontenttype":"application/json",` +
		`"data":{"customer":"anna","pushAvailable":false,"availability":{"state":"unreachable","since":"2026-11-01T12:00:00Z","evidence":"UNREGISTERED"},"version":7}}`
	if m.Data != want {
		t.Errorf("published\n%s\nwant\n%s", m.Data, want)
	}
	for name, want := range map[string]string{"type": push.AvailabilityChanged, "content-type": "application/cloudevents+json"} {
		if got := m.Attributes[name]; got != want {
			t.Errorf("the attribute %s is %q, want %q", name, got, want)
		}
	}
}

func TestPublishingFailsAloud(t *testing.T) {
	t.Parallel()
	q, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := q.PublishBatches(ctx, push.LaneLarge, push.BatchRef{Mailing: "m", Batch: "b"})
	check.Error(t, "publishing with a cancelled context", err, "batches")
	if err := queue.New(nil, queue.Topics{}).PublishDispatch(t.Context(), push.DispatchMessage{}); err == nil {
		t.Error("publishing without a topic succeeds, want an error")
	}
	if err := queue.New(nil, queue.Topics{}).PublishDispatch(t.Context()); err != nil {
		t.Errorf("publishing nothing: %v", err)
	}
}

func TestReceive(t *testing.T) {
	t.Parallel()
	var got queue.Message
	answer := queue.Ack
	srv := httptest.NewServer(queue.Receive(func(_ context.Context, m queue.Message) queue.Reply {
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
		t.Errorf("Ack is answered %d, want 204", code)
	}
	want := queue.Message{ID: "17", Data: []byte("hello"), Subscription: "projects/p/subscriptions/s", Attempt: 3,
		Attributes: map[string]string{"CloudPubSubDeadLetterSourceSubscription": "deliver"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the decoded message (-want +got):\n%s", diff)
	}
	if from := got.DeadLetterOf(); from != "deliver" {
		t.Errorf("the dead letter is of %q, want deliver", from)
	}

	answer = queue.Redeliver
	if code := post("POST", body); code != http.StatusServiceUnavailable {
		t.Errorf("Redeliver is answered %d, want 503", code)
	}

	for _, c := range []struct {
		method, body string
		want         int
	}{
		{"GET", "", 405}, {"POST", "", 400}, {"POST", "nonsense", 400}, {"POST", `{"subscription":"s"}`, 400},
		{"POST", `{"message":{"data":"not base64!"}}`, 400}, {"POST", `{"message":{"data":"` + strings.Repeat("a", 15<<20) + `"}}`, 400},
	} {
		t.Run(c.method, func(t *testing.T) {
			if code := post(c.method, c.body); code != c.want {
				t.Errorf("%s %.30s is answered %d, want %d", c.method, c.body, code, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"message":{"data":"aGVsbG8=","messageId":"17","publishTime":"2026-11-01T12:00:00Z"},"subscription":"s","deliveryAttempt":3}`))
	f.Add([]byte(`{"message":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := queue.Decode(b)
		if err == nil && !json.Valid(b) {
			t.Fatalf("%q is not JSON and is decoded as %+v", b, m)
		}
	})
}

// TestMessagesAreOrderedByTheirID checks that copies of one message to a customer have the
// same ordering key, so that Pub/Sub delivers one copy at a time, and that different messages
// have different keys, so that they do not wait for each other.
func TestMessagesAreOrderedByTheirID(t *testing.T) {
	t.Parallel()
	q, l := open(t)
	for range 2 {
		if err := q.PublishMessages(t.Context(), push.MessageRef{Message: "s1", Customer: "anna"}, push.MessageRef{Message: "s2", Customer: "anna"}); err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]int{}
	for _, m := range l.Published("topic", 4) {
		if want := `{"message":"` + m.OrderingKey + `","customer":"anna"}`; m.Data != want {
			t.Errorf("published %s, want %s", m.Data, want)
		}
		keys[m.OrderingKey]++
	}
	for _, id := range []string{"s1", "s2"} {
		if keys[id] != 2 {
			t.Errorf("%d messages have the ordering key %s, want 2", keys[id], id)
		}
	}
}

// TestMessageIsPublishedAgainAfterAFailure checks that a message whose publishing failed can
// be published again: the publisher accepts its ordering key again.
func TestMessageIsPublishedAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	l := testcloud.New(t)
	q := queue.New(l.PubSub(), queue.Topics{Messages: "topic"})
	t.Cleanup(q.Stop)
	ref := push.MessageRef{Message: "s1"}
	if err := q.PublishMessages(t.Context(), ref); err == nil {
		t.Fatal("publishing to a topic that does not exist succeeds, want an error")
	}

	l.Topic("topic")
	if err := q.PublishMessages(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	l.Published("topic", 1)
}
