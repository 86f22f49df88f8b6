package pubsub_test

import (
	"maps"
	"strconv"
	"testing"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/pubsub"
)

const originally = "2026-05-04T03:02:01.700Z"

func atOriginally() time.Time {
	at, err := time.Parse(time.RFC3339Nano, originally)
	if err != nil {
		panic(err)
	}
	return at
}

func TestDeadLetterAfterItsAttempts(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int{"unset": 0, "seven": 7} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, pubsub.Options{TimeScale: 0.0001, Now: atOriginally})
			url, _ := endpoint(t, always(500))
			grave, buried := endpoint(t, always(200))
			seen, stop := w.Server.Subscribe()
			defer stop()
			w.subscribe("graves", &pb.Subscription{Topic: dead, PushConfig: to(grave)})
			from := w.subscribe("failing", &pb.Subscription{PushConfig: to(url), RetryPolicy: policy(10*time.Second, 10*time.Second),
				DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: int32(most)}})
			id := w.publishAll(&pb.PubsubMessage{Data: []byte("bad"), Attributes: map[string]string{"k": "v"}})[0]
			last := most
			if last == 0 {
				last = 5
			}
			for want := 1; want <= last; want++ {
				d := nextOf(t, seen, from)
				switch {
				case d.Attempt != want:
					t.Fatalf("delivery %d: attempt %v, want %v", want, d.Attempt, want)
				case d.Status != 500:
					t.Fatalf("delivery %d: status %v, want 500", want, d.Status)
				case d.MessageID != id:
					t.Fatalf("delivery %d: message id %v, want %v", want, d.MessageID, id)
				case d.DeadLettered != (want == last):
					t.Fatalf("delivery %d: dead lettered %v, want %v", want, d.DeadLettered, (want == last))
				}
			}
			// The message is in the dead letter topic before the delivery is reported.
			got := w.Messages(dead)
			want := map[string]string{"k": "v",
				"CloudPubSubDeadLetterSourceDeliveryCount":       strconv.Itoa(last),
				"CloudPubSubDeadLetterSourceSubscription":        "failing",
				"CloudPubSubDeadLetterSourceSubscriptionProject": "p",
				"CloudPubSubDeadLetterSourceTopicPublishTime":    "2026-05-04T03:02:01.700+00:00"}
			switch {
			case len(got) != 1:
				t.Fatalf("the dead letter topic: %v messages, want 1", len(got))
			case string(got[0].Data) != "bad":
				t.Fatalf(`the dead letter topic: data %q, want "bad"`, string(got[0].Data))
			case got[0].ID == id:
				t.Fatalf("the dead letter topic: id %v, want a new one", got[0].ID)
			case !maps.Equal(got[0].Attributes, want):
				t.Fatalf("the dead letter topic: attributes %v, want %v", got[0].Attributes, want)
			}
			switch q := next(t, buried); {
			case q.Message.MessageID != got[0].ID:
				t.Errorf("the dead letter: message id %v, want %v; body %s", q.Message.MessageID, got[0].ID, q.body)
			case !maps.Equal(q.Message.Attributes, want):
				t.Errorf("the dead letter: attributes %v, want %v; body %s", q.Message.Attributes, want, q.body)
			}
			w.idle()
			none(t, buried)
			if u := w.Usage(); u.Messages != 2 {
				t.Errorf("%d messages billed, want the dead letter too", u.Messages)
			}
		})
	}
}

func TestWithoutADeadLetterPolicyAttemptsGoOn(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.0001})
	url, got := endpoint(t, func(n int32) int {
		if n < 12 {
			return 500
		}
		return 200
	})
	w.subscribe("stubborn", &pb.Subscription{PushConfig: to(url), RetryPolicy: policy(time.Second, time.Second)})
	w.publish("x")
	w.idle()
	if len(got) != 12 {
		t.Errorf("%d attempts, want 12", len(got))
	}
	if left := w.Messages(dead); len(left) != 0 {
		t.Errorf("the dead letter topic has %+v, want no message", left)
	}
}

// A message that cannot be published as a dead letter is not lost.
func TestDeadLetterTopicGone(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.0001})
	url, got := endpoint(t, func(n int32) int {
		if n < 8 {
			return 500
		}
		return 200
	})
	w.subscribe("orphan", &pb.Subscription{PushConfig: to(url), RetryPolicy: policy(time.Second, time.Second),
		DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: 5}})
	if err := w.TopicAdminClient.DeleteTopic(t.Context(), &pb.DeleteTopicRequest{Topic: dead}); err != nil {
		t.Fatal(err)
	}
	w.publish("x")
	w.idle()
	if len(got) != 8 {
		t.Errorf("%d attempts, want 8", len(got))
	}
}

// With pull, too, a message goes to the dead letter topic after the nack of its last
// attempt, and the next message of its key follows.
func TestPullersDieToo(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	name := w.subscribe("pulled", &pb.Subscription{EnableMessageOrdering: true,
		DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: 5}})
	w.publishAll(&pb.PubsubMessage{Data: []byte("bad"), OrderingKey: "k"}, &pb.PubsubMessage{Data: []byte("good"), OrderingKey: "k"})
	for want := int32(1); want <= 5; want++ {
		got := w.pull(name, 10)
		switch {
		case len(got) != 1:
			t.Fatalf("pull %d: %v messages, want 1", want, len(got))
		case got[0].GetDeliveryAttempt() != want:
			t.Fatalf("pull %d: delivery attempt %v, want %v", want, got[0].GetDeliveryAttempt(), want)
		case string(got[0].GetMessage().GetData()) != "bad":
			t.Fatalf(`pull %d: data %q, want "bad"`, want, string(got[0].GetMessage().GetData()))
		}
		err := w.SubscriptionAdminClient.ModifyAckDeadline(t.Context(), &pb.ModifyAckDeadlineRequest{Subscription: name, AckIds: []string{got[0].GetAckId()}})
		if err != nil {
			t.Fatal(err)
		}
	}
	switch got := w.Messages(dead); {
	case len(got) != 1:
		t.Errorf("the dead letter topic: %v messages, want 1", len(got))
	case string(got[0].Data) != "bad":
		t.Errorf(`the dead letter topic: data %q, want "bad"`, string(got[0].Data))
	}
	switch got := w.pull(name, 10); {
	case len(got) != 1:
		t.Errorf("after the dead letter: %v messages, want 1", len(got))
	case string(got[0].GetMessage().GetData()) != "good":
		t.Errorf(`after the dead letter: data %q, want "good"`, string(got[0].GetMessage().GetData()))
	}
}
