package pubsub_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/official"
)

func TestContractPushEnvelope(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	url, got := endpoint(t, always(http.StatusNoContent))
	name := k.subscribe("pushed", &pb.Subscription{PushConfig: to(url)})
	id := k.publish(&pb.PubsubMessage{Data: []byte("hello <&>\xff"), Attributes: map[string]string{"k": "v"}})[0]
	q := next(t, got)
	if q.data() != "hello <&>\xff" {
		t.Errorf(`data %q, want "hello <&>\xff"`, q.data())
	}
	if q.Message.Attributes["k"] != "v" {
		t.Errorf("attributes %v", q.Message.Attributes)
	}
	if q.Message.MessageID != id {
		t.Errorf("messageId %q, want %q", q.Message.MessageID, id)
	}
	if q.Subscription != name {
		t.Errorf("subscription %q, want %q", q.Subscription, name)
	}
	for _, field := range []string{`"messageId"`, `"message_id"`, `"publishTime"`, `"publish_time"`} {
		if !strings.Contains(q.body, field) {
			t.Errorf("pushed without %s: %s", field, q.body)
		}
	}
	if strings.Contains(q.body, "deliveryAttempt") {
		t.Errorf("pushed with an attempt, without a dead letter policy: %s", q.body)
	}
	if c := q.header.Get("Content-Type"); !strings.HasPrefix(c, "application/json") {
		t.Errorf("Content-Type is %q", c)
	}
}

func TestContractPushesAgainUntilAcknowledged(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusInternalServerError, http.StatusNotFound, http.StatusTooManyRequests} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			k := newContract(t)
			url, got := endpoint(t, func(n int32) int {
				if n < 3 {
					return status
				}
				return http.StatusOK
			})
			k.subscribe("again", &pb.Subscription{PushConfig: to(url)})
			id := k.publish(text("x"))[0]
			for i := range 3 {
				if q := next(t, got); q.Message.MessageID != id {
					t.Errorf("push %d is of message %q, want %q", i+1, q.Message.MessageID, id)
				}
			}
			// The next message is delivered, the acknowledged one is not delivered again.
			second := k.publish(text("y"))[0]
			if q := next(t, got); q.Message.MessageID != second {
				t.Errorf("pushed %q after it was acknowledged, want %q", q.Message.MessageID, second)
			}
		})
	}
}

func TestContractPushWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	came := make(chan time.Time, 100)
	var n atomic.Int32
	ended := make(chan struct{})
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		came <- time.Now()
		_, _ = io.Copy(io.Discard, r.Body) // a server only notices that a client disconnects after the body is read
		if n.Add(1) == 1 {
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		}
	})
	t.Cleanup(func() { close(ended) })
	k.subscribe("silent", &pb.Subscription{PushConfig: to(url), AckDeadlineSeconds: 10})
	k.publish(text("x"))
	first := next(t, came)
	select {
	case second := <-came:
		if took := second.Sub(first); took < 8*time.Second {
			t.Errorf("pushed again after %v, want 10 s at least", took)
		}
	case <-time.After(time.Minute):
		t.Error("not pushed again within a minute")
	}
}

func TestContractBackOff(t *testing.T) {
	t.Parallel()
	official.Skip(t)
	k := newContract(t)
	url, got := endpoint(t, func(n int32) int {
		if n < 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	k.subscribe("slow", &pb.Subscription{PushConfig: to(url), RetryPolicy: policy(2*time.Second, 10*time.Second)})
	k.publish(text("x"))
	first, second, third := next(t, got).at, next(t, got).at, next(t, got).at
	if gap := second.Sub(first); gap < 1900*time.Millisecond {
		t.Errorf("the second attempt came after %v, want 2 s at least", gap)
	}
	if gap := third.Sub(second); gap < 1900*time.Millisecond {
		t.Errorf("the third attempt came after %v, want 2 s at least", gap)
	}
}

func TestContractDeadLetter(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	url, got := endpoint(t, always(http.StatusInternalServerError))
	graves := k.subscribe("graves", &pb.Subscription{Topic: k.graves})
	k.subscribe("failing", &pb.Subscription{PushConfig: to(url), RetryPolicy: policy(0, time.Second),
		DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: k.graves, MaxDeliveryAttempts: 5}})
	k.publish(&pb.PubsubMessage{Data: []byte("bad"), Attributes: map[string]string{"k": "v"}})
	var attempts []int
	for range 5 {
		attempts = append(attempts, next(t, got).DeliveryAttempt)
	}
	t.Run("attempts", func(t *testing.T) {
		official.Skip(t)
		if !slices.Equal(attempts, []int{1, 2, 3, 4, 5}) {
			t.Errorf("the pushes have deliveryAttempt %v, want 1 to 5", attempts)
		}
	})
	m := k.pull(graves)[0].GetMessage()
	if string(m.GetData()) != "bad" {
		t.Errorf("the dead letter is %q", m.GetData())
	}
	if m.GetAttributes()["k"] != "v" {
		t.Errorf("the dead letter has the attributes %v", m.GetAttributes())
	}
	for name, want := range map[string]string{
		"CloudPubSubDeadLetterSourceDeliveryCount":       "5",
		"CloudPubSubDeadLetterSourceSubscription":        "failing",
		"CloudPubSubDeadLetterSourceSubscriptionProject": k.project,
	} {
		if got := m.GetAttributes()[name]; got != want {
			t.Errorf("attribute %s is %q, want %q", name, got, want)
		}
	}
}

func TestContractOrdering(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	url, got := endpoint(t, always(http.StatusOK))
	k.subscribe("ordered", &pb.Subscription{PushConfig: to(url), EnableMessageOrdering: true})
	pulled := k.subscribe("pulled", &pb.Subscription{EnableMessageOrdering: true})
	const messages = 30
	for i := range messages {
		k.publish(&pb.PubsubMessage{Data: fmt.Appendf(nil, "%02d", i), OrderingKey: fmt.Sprint("key", i%2)})
	}

	byKey := map[string][]string{}
	for n := 0; n < messages; {
		for _, m := range k.pull(pulled) {
			byKey[m.GetMessage().GetOrderingKey()] = append(byKey[m.GetMessage().GetOrderingKey()], string(m.GetMessage().GetData()))
			k.acknowledge(pulled, m.GetAckId())
			n++
		}
	}
	inOrder(t, byKey, messages/2)
	t.Run("pushed", func(t *testing.T) {
		official.Skip(t)
		byKey := map[string][]string{}
		for range messages {
			q := next(t, got)
			byKey[q.Message.OrderingKey] = append(byKey[q.Message.OrderingKey], q.data())
		}
		inOrder(t, byKey, messages/2)
	})
}

// inOrder checks the order of the messages of each ordering key.
func inOrder(t *testing.T, byKey map[string][]string, each int) {
	t.Helper()
	if len(byKey) != 2 {
		t.Errorf("messages of %d keys came, want 2", len(byKey))
	}
	for key, came := range byKey {
		if !slices.IsSorted(came) {
			t.Errorf("of %s came %v", key, came)
		}
		if len(came) != each {
			t.Errorf("of %s came %d messages, want %d", key, len(came), each)
		}
	}
}
