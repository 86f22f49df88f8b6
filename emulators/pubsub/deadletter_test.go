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
				if d.Attempt != want || d.Status != 500 || d.MessageID != id || d.DeadLettered != (want == last) {
					t.Fatalf("delivery %d was %+v", want, d)
				}
			}
			// The message is in the dead letter topic before the delivery is reported.
			got := w.Messages(dead)
			want := map[string]string{"k": "v",
				"CloudPubSubDeadLetterSourceDeliveryCount":       strconv.Itoa(last),
				"CloudPubSubDeadLetterSourceSubscription":        "failing",
				"CloudPubSubDeadLetterSourceSubscriptionProject": "p",
				"CloudPubSubDeadLetterSourceTopicPublishTime":    "2026-05-04T03:02:01.700+00:00"}
			if len(got) != 1 || string(got[0].Data) != "bad" || got[0].ID == id || !maps.Equal(got[0].Attributes, want) {
				t.Fatalf("the dead letter topic has %+v, want one message with %v", got, want)
			}
			if q := next(t, buried); q.Message.MessageID != got[0].ID || !maps.Equal(q.Message.Attributes, want) {
				t.Errorf("the dead letter came as %s", q.body)
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
		t.Errorf("dead letters nobody asked for: %+v", left)
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
		if len(got) != 1 || got[0].GetDeliveryAttempt() != want || string(got[0].GetMessage().GetData()) != "bad" {
			t.Fatalf("pull %d answers %v", want, got)
		}
		err := w.SubscriptionAdminClient.ModifyAckDeadline(t.Context(), &pb.ModifyAckDeadlineRequest{Subscription: name, AckIds: []string{got[0].GetAckId()}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Messages(dead); len(got) != 1 || string(got[0].Data) != "bad" {
		t.Errorf("the dead letter topic has %+v", got)
	}
	if got := w.pull(name, 10); len(got) != 1 || string(got[0].GetMessage().GetData()) != "good" {
		t.Errorf("after it came %v", got)
	}
}
