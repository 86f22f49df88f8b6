package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"carillon.example/emulators/pubsub"
)

func TestSubscriptionsAreFollowed(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	first, atFirst := endpoint(t, always(200))
	second, atSecond := endpoint(t, always(200))
	name := w.subscribe("moving", &pb.Subscription{})
	w.publish("one") // before there is an endpoint
	if !w.Idle() {
		t.Error("a pull subscription's message keeps the server from being idle")
	}
	modify := func(url string) {
		t.Helper()
		if err := w.SubscriptionAdminClient.ModifyPushConfig(t.Context(), &pb.ModifyPushConfigRequest{Subscription: name, PushConfig: to(url)}); err != nil {
			t.Fatal(err)
		}
	}
	modify(first)
	if d := next(t, atFirst).data(); d != "one" {
		t.Errorf(`pushed %q, want "one"`, d)
	}
	_, err := w.SubscriptionAdminClient.UpdateSubscription(t.Context(), &pb.UpdateSubscriptionRequest{
		Subscription: &pb.Subscription{Name: name, PushConfig: to(second)}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"push_config"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.publish("two")
	if d := next(t, atSecond).data(); d != "two" {
		t.Errorf(`pushed %q, want "two"`, d)
	}
	w.idle()
	modify("")
	w.publish("three")
	switch got := w.pull(name, 10); {
	case len(got) != 1:
		t.Errorf("pulled: %v messages, want 1", len(got))
	case string(got[0].GetMessage().GetData()) != "three":
		t.Errorf(`pulled: data %q, want "three"`, string(got[0].GetMessage().GetData()))
	}
	if err := w.SubscriptionAdminClient.DeleteSubscription(t.Context(), &pb.DeleteSubscriptionRequest{Subscription: name}); err != nil {
		t.Fatal(err)
	}
	w.publish("four")
	w.idle()
	none(t, atFirst)
	none(t, atSecond)
}

// The messages of a deleted subscription are not waited for.
func TestDeletedWhileItWaits(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	url, _ := endpoint(t, always(500))
	seen, stop := w.Server.Subscribe()
	defer stop()
	name := w.subscribe("doomed", &pb.Subscription{PushConfig: to(url), RetryPolicy: policy(600*time.Second, 600*time.Second)})
	w.publish("a", "b", "c")
	for range 3 {
		next(t, seen)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := w.WaitIdle(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WaitIdle answers %v with messages in back-off", err)
	}
	if err := w.SubscriptionAdminClient.DeleteSubscription(t.Context(), &pb.DeleteSubscriptionRequest{Subscription: name}); err != nil {
		t.Fatal(err)
	}
	w.idle()
}

func TestPullSubscriptionsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	url, got := endpoint(t, always(200))
	w.subscribe("pushed", &pb.Subscription{PushConfig: to(url)})
	name := w.subscribe("pulled", &pb.Subscription{})
	w.publish("a", "b", "c")
	w.idle()
	if len(got) != 3 {
		t.Errorf("%d pushes, want 3", len(got))
	}
	pulled := w.pull(name, 10)
	switch {
	case len(pulled) != 3:
		t.Fatalf("pulled: %v messages, want 3", len(pulled))
	case pulled[0].GetDeliveryAttempt() != 0:
		t.Fatalf("pulled: delivery attempt %v, want 0", pulled[0].GetDeliveryAttempt())
	}
	for i, m := range pulled {
		if want := string(rune('a' + i)); string(m.GetMessage().GetData()) != want {
			t.Errorf("message %d is %q, want %q", i, m.GetMessage().GetData(), want)
		}
	}
	_, err := w.SubscriptionAdminClient.Pull(t.Context(), &pb.PullRequest{Subscription: "projects/p/subscriptions/pushed", MaxMessages: 1})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("pulling a push subscription answers %v", err)
	}
}

func TestLeasesRunOutAndAreExtended(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{DeadlineScale: 0.05}) // 10 s are half a second, 600 s are 30 s
	name := w.subscribe("leased", &pb.Subscription{AckDeadlineSeconds: 10})
	w.publish("kept", "lost")
	got := w.pull(name, 10)
	if len(got) != 2 {
		t.Fatalf("pulled %v", got)
	}
	kept := got[0].GetAckId()
	if err := w.SubscriptionAdminClient.ModifyAckDeadline(t.Context(), &pb.ModifyAckDeadlineRequest{Subscription: name, AckIds: []string{kept}, AckDeadlineSeconds: 600}); err != nil {
		t.Fatal(err)
	}
	again := w.pull(name, 10) // waits until the other lease has run out
	switch {
	case len(again) != 1:
		t.Fatalf("pulled: %v messages, want 1", len(again))
	case string(again[0].GetMessage().GetData()) != string(got[1].GetMessage().GetData()):
		t.Fatalf("pulled: data %q, want %q", string(again[0].GetMessage().GetData()), string(got[1].GetMessage().GetData()))
	case again[0].GetAckId() == got[1].GetAckId():
		t.Fatalf("pulled: ack id %v, want a new one", again[0].GetAckId())
	}
	late := &pb.AcknowledgeRequest{Subscription: name, AckIds: []string{kept, got[1].GetAckId(), again[0].GetAckId()}}
	if err := w.SubscriptionAdminClient.Acknowledge(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	late.AckIds = []string{"!"}
	if err := w.SubscriptionAdminClient.Acknowledge(t.Context(), late); status.Code(err) != codes.InvalidArgument {
		t.Errorf("acknowledging an unknown ack id: %v", err)
	}
}

// TestReceive uses the streaming pull of the Go client: nacked messages are delivered again,
// and each message is acknowledged once.
func TestReceive(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	name := w.subscribe("streamed", &pb.Subscription{})
	const n = 2000
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range n / 1000 {
		data := make([]string, 1000)
		for j := range data {
			data[j] = fmt.Sprint(i, "-", j)
		}
		w.publish(data...)
	}
	acked := make(chan string, 2*n)
	nacked := make(chan string, 1)
	done := make(chan error, 1)
	sub := w.Subscriber(name)
	sub.ReceiveSettings.MaxOutstandingMessages = 500
	go func() {
		done <- sub.Receive(ctx, func(_ context.Context, m *client.Message) {
			select {
			case nacked <- m.ID:
				m.Nack()
			default:
				acked <- m.ID
				m.Ack()
			}
		})
	}()
	seen := map[string]bool{}
	for range n {
		seen[next(t, acked)] = true
	}
	switch {
	case len(seen) != n:
		t.Errorf("%v different messages, want %v", len(seen), n)
	case !seen[next(t, nacked)]:
		t.Errorf("the nacked message is missing")
	}
	cancel()
	if err := next(t, done); err != nil {
		t.Errorf("Receive ended with %v", err)
	}
	if left := w.pull(name, 10); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}
