package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"carillon.example/emulators/pubsub"
)

func TestUsageIsAsBilled(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	url, _ := endpoint(t, always(200))
	w.subscribe("billed", &pb.Subscription{PushConfig: to(url)})
	w.publish("a", "b", "c") // one request of few bytes
	id := w.publish(strings.Repeat("x", 5000))[0]
	w.idle()
	large := int64(5000 + 20 + len(id))
	want := pubsub.Usage{Messages: 4, Bytes: 1000 + large, Delivered: 4, DeliveredBytes: 3*1000 + large}
	if u := w.Usage(); u != want {
		t.Errorf("billed %+v, want %+v", u, want)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.001})
	w.SetChaos(pubsub.Chaos{Duplicate: 1, Delay: 2 * time.Millisecond, Reorder: true, Seed: 1})
	url, got := endpoint(t, always(200))
	w.subscribe("twice", &pb.Subscription{PushConfig: to(url)})
	for i := range 50 {
		w.publish(fmt.Sprint(i))
	}
	w.idle()
	times := map[string]int{}
	for range len(got) {
		times[next(t, got).Message.MessageID]++
	}
	for id, n := range times {
		if n != 2 {
			t.Errorf("message %s came %d times, want 2", id, n)
		}
	}
	w.SetChaos(pubsub.Chaos{})
	w.publish("once")
	w.idle()
	switch {
	case len(times) != 50:
		t.Errorf("%v messages, want 50", len(times))
	case len(got) != 1:
		t.Errorf("%v messages, want 1", len(got))
	}
}

// A duplicate that fails does not become a second dead letter.
func TestDuplicatesDieOnce(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.0001})
	w.SetChaos(pubsub.Chaos{Duplicate: 1})
	url, got := endpoint(t, always(500))
	w.subscribe("dying", &pb.Subscription{PushConfig: to(url), DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: dead}})
	w.publish("x")
	w.idle()
	switch n := len(w.Messages(dead)); {
	case n != 1:
		t.Errorf("%v dead letters, want 1", n)
	case len(got) != 6:
		t.Errorf("%v pushes, want 6", len(got))
	}
}

func TestReorder(t *testing.T) {
	t.Parallel()
	order := func(c pubsub.Chaos) string {
		w := start(t, pubsub.Options{InFlight: 1})
		w.SetChaos(c)
		url, got := endpoint(t, always(200))
		name := w.subscribe("shuffled", &pb.Subscription{})
		w.publish(strings.Split("abcdefghijklmnop", "")...)
		if err := w.SubscriptionAdminClient.ModifyPushConfig(t.Context(), &pb.ModifyPushConfigRequest{Subscription: name, PushConfig: to(url)}); err != nil {
			t.Fatal(err)
		}
		w.idle()
		out := ""
		for range len(got) {
			out += next(t, got).data()
		}
		return out
	}
	if got := order(pubsub.Chaos{}); got != "abcdefghijklmnop" {
		t.Errorf(`one at a time and without chaos: %s, want "abcdefghijklmnop"`, got)
	}
	first, second := order(pubsub.Chaos{Reorder: true, Seed: 3}), order(pubsub.Chaos{Reorder: true, Seed: 3})
	switch {
	case first == "abcdefghijklmnop":
		t.Errorf("the same seed reordered: %q, want another order", first)
	case first != second:
		t.Errorf("the same seed reordered: %v, want %v", first, second)
	case len(first) != 16:
		t.Errorf("the same seed reordered: %v messages, want 16", len(first))
	}
}

func TestMessagesAreRememberedUpToKeep(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{Keep: 3})
	ids := w.publish("a", "b", "c", "d", "e")
	got := w.Messages(alpha)
	if len(got) != 3 {
		t.Fatalf("remembers %+v", got)
	}
	for i, m := range got {
		switch {
		case m.ID != ids[i+2]:
			t.Errorf("message %d: ID %v, want %v", i, m.ID, ids[i+2])
		case string(m.Data) != string(rune('c'+i)):
			t.Errorf("message %d: data %q, want %q", i, string(m.Data), string(rune('c'+i)))
		case m.PublishTime.IsZero():
			t.Errorf("message %d: the time is missing", i)
		}
	}
	if m := w.Messages("projects/p/topics/none"); m != nil {
		t.Errorf("a topic that is none has %+v", m)
	}
}

func TestSeekDropsWhatIsOlder(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	name := w.subscribe("purged", &pb.Subscription{EnableMessageOrdering: true})
	for range 3 {
		w.publishAll(&pb.PubsubMessage{Data: []byte("old"), OrderingKey: "k"})
	}
	w.pull(name, 1) // one of them is leased
	_, err := w.SubscriptionAdminClient.Seek(t.Context(), &pb.SeekRequest{Subscription: name,
		Target: &pb.SeekRequest_Time{Time: timestamppb.New(time.Now().Add(time.Hour))}})
	if err != nil {
		t.Fatal(err)
	}
	w.publishAll(&pb.PubsubMessage{Data: []byte("new"), OrderingKey: "k"})
	switch got := w.pull(name, 10); {
	case len(got) != 1:
		t.Errorf("pulled: %v messages, want 1", len(got))
	case string(got[0].GetMessage().GetData()) != "new":
		t.Errorf(`pulled: data %q, want "new"`, string(got[0].GetMessage().GetData()))
	}
}

// TestAdministration makes the calls of a deployment before a first message is published.
func TestAdministration(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	name := w.subscribe("kept", &pb.Subscription{PushConfig: to("http://x.example/y"), RetryPolicy: policy(time.Second, time.Minute)})
	w.subscribe("other", &pb.Subscription{})
	c, err := w.SubscriptionAdminClient.UpdateSubscription(t.Context(), &pb.UpdateSubscriptionRequest{
		Subscription: &pb.Subscription{Name: name, AckDeadlineSeconds: 120, Labels: map[string]string{"a": "b"}, PushConfig: to("http://z.example/")},
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"ack_deadline_seconds", "labels", "retry_policy", "push_config.push_endpoint"}}})
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.GetAckDeadlineSeconds() != 120:
		t.Errorf("updated: ack deadline seconds %v, want 120", c.GetAckDeadlineSeconds())
	case c.GetLabels()["a"] != "b":
		t.Errorf(`updated: labels a %q, want "b"`, c.GetLabels()["a"])
	case c.GetRetryPolicy() != nil:
		t.Errorf("updated: retry policy %v, want none", c.GetRetryPolicy())
	case c.GetPushConfig().GetPushEndpoint() != "http://z.example/":
		t.Errorf(`updated: push endpoint %q, want "http://z.example/"`, c.GetPushConfig().GetPushEndpoint())
	}
	var names []string
	for it := w.SubscriptionAdminClient.ListSubscriptions(t.Context(), &pb.ListSubscriptionsRequest{Project: "projects/p", PageSize: 1}); ; {
		s, err := it.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, s.GetName())
	}
	if fmt.Sprint(names) != "[projects/p/subscriptions/kept projects/p/subscriptions/other]" {
		t.Errorf("listed %v", names)
	}
	if err := w.TopicAdminClient.DeleteTopic(t.Context(), &pb.DeleteTopicRequest{Topic: alpha}); err != nil {
		t.Fatal(err)
	}
	switch s, err := w.SubscriptionAdminClient.GetSubscription(t.Context(), &pb.GetSubscriptionRequest{Subscription: name}); {
	case err != nil:
		t.Errorf("after its topic was deleted: error %v, want none", err)
	case s.GetTopic() != "_deleted-topic_":
		t.Errorf(`after its topic was deleted: topic %q, want "_deleted-topic_"`, s.GetTopic())
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	w.subscribe("taken", &pb.Subscription{})
	create := func(change func(*pb.Subscription)) func(context.Context) error {
		s := &pb.Subscription{Name: "projects/p/subscriptions/new", Topic: alpha}
		change(s)
		return func(ctx context.Context) error {
			_, err := w.SubscriptionAdminClient.CreateSubscription(ctx, s)
			return err
		}
	}
	publish := func(topic string, m ...*pb.PubsubMessage) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := w.TopicAdminClient.Publish(ctx, &pb.PublishRequest{Topic: topic, Messages: m})
			return err
		}
	}
	for what, c := range map[string]struct {
		do   func(context.Context) error
		want codes.Code
	}{
		"bad name":             {create(func(s *pb.Subscription) { s.Name = "projects/p/subscriptions/1s" }), codes.InvalidArgument},
		"name of two letters":  {create(func(s *pb.Subscription) { s.Name = "projects/p/subscriptions/ab" }), codes.InvalidArgument},
		"topic of two letters": {publish("projects/p/topics/ab", &pb.PubsubMessage{Data: []byte("x")}), codes.NotFound},
		"reserved name":        {create(func(s *pb.Subscription) { s.Name = "projects/p/subscriptions/google" }), codes.InvalidArgument},
		"taken":                {create(func(s *pb.Subscription) { s.Name = "projects/p/subscriptions/taken" }), codes.AlreadyExists},
		"no topic":             {create(func(s *pb.Subscription) { s.Topic = "projects/p/topics/none" }), codes.NotFound},
		"no dead topic": {create(func(s *pb.Subscription) {
			s.DeadLetterPolicy = &pb.DeadLetterPolicy{DeadLetterTopic: "projects/p/topics/none"}
		}), codes.NotFound},
		"few attempts": {create(func(s *pb.Subscription) {
			s.DeadLetterPolicy = &pb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: 4}
		}), codes.InvalidArgument},
		"short deadline":    {create(func(s *pb.Subscription) { s.AckDeadlineSeconds = 9 }), codes.InvalidArgument},
		"long back-off":     {create(func(s *pb.Subscription) { s.RetryPolicy = policy(time.Second, 601*time.Second) }), codes.InvalidArgument},
		"upside down":       {create(func(s *pb.Subscription) { s.RetryPolicy = policy(time.Minute, time.Second) }), codes.InvalidArgument},
		"negative":          {create(func(s *pb.Subscription) { s.RetryPolicy = &pb.RetryPolicy{MinimumBackoff: durationpb.New(-1)} }), codes.InvalidArgument},
		"no URL":            {create(func(s *pb.Subscription) { s.PushConfig = to("ftp://x") }), codes.InvalidArgument},
		"filter":            {create(func(s *pb.Subscription) { s.Filter = `attributes.a = "b"` }), codes.Unimplemented},
		"exactly once":      {create(func(s *pb.Subscription) { s.EnableExactlyOnceDelivery = true }), codes.Unimplemented},
		"unknown topic":     {publish("projects/p/topics/none", &pb.PubsubMessage{Data: []byte("x")}), codes.NotFound},
		"nothing":           {publish(alpha), codes.InvalidArgument},
		"empty message":     {publish(alpha, &pb.PubsubMessage{}), codes.InvalidArgument},
		"long key":          {publish(alpha, &pb.PubsubMessage{Attributes: map[string]string{strings.Repeat("k", 257): ""}}), codes.InvalidArgument},
		"long value":        {publish(alpha, &pb.PubsubMessage{Attributes: map[string]string{"k": strings.Repeat("v", 1025)}}), codes.InvalidArgument},
		"more than 10 MB":   {publish(alpha, &pb.PubsubMessage{Data: make([]byte, 10_000_001)}), codes.InvalidArgument},
		"long ordering key": {publish(alpha, &pb.PubsubMessage{Data: []byte("x"), OrderingKey: strings.Repeat("k", 1025)}), codes.InvalidArgument},
	} {
		if err := c.do(t.Context()); status.Code(err) != c.want {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if err := publish(alpha, &pb.PubsubMessage{Data: make([]byte, 9_900_000)})(t.Context()); err != nil {
		t.Errorf("a message of 9.9 MB: %v", err)
	}
}

func TestStartSaysWhyNot(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	switch _, err := pubsub.Start(w.Addr(), pubsub.Options{}); {
	case err == nil:
		t.Errorf("a second server on the same address: no error")
	case !strings.Contains(err.Error(), w.Addr()):
		t.Errorf("a second server on the same address: error %q, want %q in it", err.Error(), w.Addr())
	}
}

// Close does not wait for pushes, and nothing is pushed after it.
func TestCloseBreaksOff(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	there, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		there <- struct{}{}
		<-release
	})
	seen, stop := w.Server.Subscribe()
	w.subscribe("hanging", &pb.Subscription{PushConfig: to(url), AckDeadlineSeconds: 600})
	w.publish("x")
	next(t, there)
	w.Server.Close()
	w.Server.Close()
	stop()
	if d, open := <-seen; open {
		t.Errorf("got the delivery %+v, want none", d)
	}
}
