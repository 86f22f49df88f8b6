package pubsub_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/official"
	"carillon.example/emulators/pubsub"
)

// The contract tests check the behaviour of the service through the real client. They also
// run on Google's emulator when PUBSUB_EMULATOR_HOST is set. They use real time: a deadline
// of ten seconds takes ten seconds.

// contract is a project for one test on the server under test, with a topic and a topic for
// dead letters.
type contract struct {
	*client.Client
	t             *testing.T
	project       string
	topic, graves string
}

func newContract(t *testing.T) *contract {
	t.Helper()
	addr := os.Getenv("PUBSUB_EMULATOR_HOST")
	if addr == "" {
		s, err := pubsub.Start("127.0.0.1:0", pubsub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		addr = s.Addr()
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	k := &contract{t: t, project: "test-" + strings.ToLower(rand.Text())}
	if k.Client, err = client.NewClient(context.Background(), k.project, option.WithGRPCConn(conn)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Client.Close() })
	k.topic, k.graves = k.newTopic("alpha"), k.newTopic("graves")
	return k
}

func (k *contract) newTopic(id string) string {
	k.t.Helper()
	name := "projects/" + k.project + "/topics/" + id
	if _, err := k.TopicAdminClient.CreateTopic(k.t.Context(), &pb.Topic{Name: name}); err != nil {
		k.t.Fatal(err)
	}
	return name
}

// subscribe creates a subscription, of topic alpha unless s names another one. The end of the
// test deletes it, because an external server would continue to push.
func (k *contract) subscribe(id string, s *pb.Subscription) string {
	k.t.Helper()
	s.Name = "projects/" + k.project + "/subscriptions/" + id
	if s.Topic == "" {
		s.Topic = k.topic
	}
	if _, err := k.SubscriptionAdminClient.CreateSubscription(k.t.Context(), s); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = k.SubscriptionAdminClient.DeleteSubscription(ctx, &pb.DeleteSubscriptionRequest{Subscription: s.Name}) // best effort
	})
	return s.Name
}

func (k *contract) publish(msgs ...*pb.PubsubMessage) []string {
	k.t.Helper()
	r, err := k.TopicAdminClient.Publish(k.t.Context(), &pb.PublishRequest{Topic: k.topic, Messages: msgs})
	if err != nil {
		k.t.Fatal(err)
	}
	return r.GetMessageIds()
}

func text(data string) *pb.PubsubMessage { return &pb.PubsubMessage{Data: []byte(data)} }

// pull waits until a subscription has messages, and returns them.
func (k *contract) pull(subscription string) []*pb.ReceivedMessage {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	for {
		r, err := k.SubscriptionAdminClient.Pull(ctx, &pb.PullRequest{Subscription: subscription, MaxMessages: 100})
		if err != nil {
			k.t.Fatalf("pulling from %s: %v", subscription, err)
		}
		if len(r.GetReceivedMessages()) > 0 {
			return r.GetReceivedMessages()
		}
	}
}

func (k *contract) acknowledge(subscription string, ids ...string) {
	k.t.Helper()
	err := k.SubscriptionAdminClient.Acknowledge(k.t.Context(), &pb.AcknowledgeRequest{Subscription: subscription, AckIds: ids})
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *contract) deadline(subscription, ack string, seconds int32) {
	k.t.Helper()
	err := k.SubscriptionAdminClient.ModifyAckDeadline(k.t.Context(), &pb.ModifyAckDeadlineRequest{
		Subscription: subscription, AckIds: []string{ack}, AckDeadlineSeconds: seconds})
	if err != nil {
		k.t.Fatal(err)
	}
}

func TestContractPull(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	name := k.subscribe("pulled", &pb.Subscription{})
	before := time.Now().Add(-time.Minute)
	id := k.publish(&pb.PubsubMessage{Data: []byte("hello \xff"), Attributes: map[string]string{"k": "v"}})[0]
	got := k.pull(name)
	if len(got) != 1 {
		t.Fatalf("%d messages came, want 1", len(got))
	}
	m := got[0].GetMessage()
	if m.GetMessageId() != id {
		t.Errorf("id %q, want %q", m.GetMessageId(), id)
	}
	if string(m.GetData()) != "hello \xff" {
		t.Errorf("data %q", m.GetData())
	}
	if m.GetAttributes()["k"] != "v" {
		t.Errorf("attributes %v", m.GetAttributes())
	}
	if !m.GetPublishTime().AsTime().After(before) {
		t.Errorf("published at %v", m.GetPublishTime().AsTime())
	}

	k.acknowledge(name, got[0].GetAckId())
	k.publish(text("second"))
	if got := k.pull(name); string(got[0].GetMessage().GetData()) != "second" {
		t.Errorf("after the first was acknowledged came %v", got)
	}
}

func TestContractNackComesBack(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	name := k.subscribe("nacked", &pb.Subscription{AckDeadlineSeconds: 600})
	id := k.publish(text("x"))[0]
	k.deadline(name, k.pull(name)[0].GetAckId(), 0)
	if got := k.pull(name); got[0].GetMessage().GetMessageId() != id {
		t.Errorf("after a nack came %v, want message %s", got, id)
	}
}

func TestContractAckDeadline(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	name := k.subscribe("late", &pb.Subscription{AckDeadlineSeconds: 10})
	id := k.publish(text("x"))[0]
	k.pull(name)
	taken := time.Now()
	if got := k.pull(name); got[0].GetMessage().GetMessageId() != id {
		t.Errorf("after the deadline came %v, want message %s", got, id)
	}
	if took := time.Since(taken); took < 8*time.Second {
		t.Errorf("it came back after %v, want 10 s at least", took)
	}
}

func TestContractExtendedDeadline(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	name := k.subscribe("extended", &pb.Subscription{AckDeadlineSeconds: 10})
	k.publish(text("first"))
	k.deadline(name, k.pull(name)[0].GetAckId(), 600)
	k.publish(text("second"))
	second := k.pull(name)
	if string(second[0].GetMessage().GetData()) != "second" {
		t.Fatalf("pulled %v, want the second", second)
	}
	// The second message is delivered again after ten seconds, the first is not.
	if got := k.pull(name); string(got[0].GetMessage().GetData()) != "second" {
		t.Errorf("pulled %v; its deadline was extended", got)
	}
}

func TestContractStreamingPull(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	name := k.subscribe("streamed", &pb.Subscription{})
	var msgs []*pb.PubsubMessage
	for i := range 500 {
		msgs = append(msgs, text(fmt.Sprint(i)))
	}
	k.publish(msgs...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var mu sync.Mutex
	seen := map[string]int{}
	err := k.Subscriber(name).Receive(ctx, func(_ context.Context, m *client.Message) {
		mu.Lock()
		defer mu.Unlock()
		seen[string(m.Data)]++
		m.Ack()
		if len(seen) == 500 {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 500 {
		t.Errorf("%d messages came, want 500", len(seen))
	}
}

func TestContractRefusals(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	k.subscribe("taken", &pb.Subscription{})
	topic := func(id string) error {
		_, err := k.TopicAdminClient.CreateTopic(t.Context(), &pb.Topic{Name: "projects/" + k.project + "/topics/" + id})
		return err
	}
	subscription := func(id, of string, seconds int32) error {
		_, err := k.SubscriptionAdminClient.CreateSubscription(t.Context(), &pb.Subscription{
			Name: "projects/" + k.project + "/subscriptions/" + id, Topic: of, AckDeadlineSeconds: seconds})
		return err
	}
	publish := func(topic string, m *pb.PubsubMessage) error {
		_, err := k.TopicAdminClient.Publish(t.Context(), &pb.PublishRequest{Topic: topic, Messages: []*pb.PubsubMessage{m}})
		return err
	}
	for what, c := range map[string]struct {
		err  error
		want codes.Code
	}{
		"a topic that is there":            {topic("alpha"), codes.AlreadyExists},
		"a topic of two letters":           {topic("ab"), codes.InvalidArgument},
		"a topic that begins with a digit": {topic("1abc"), codes.InvalidArgument},
		"a reserved topic":                 {topic("goog-topic"), codes.InvalidArgument},
		"a subscription that is there":     {subscription("taken", k.topic, 0), codes.AlreadyExists},
		"a subscription of no topic":       {subscription("lonely", k.topic+"-none", 0), codes.NotFound},
		"a subscription of two letters":    {subscription("ab", k.topic, 0), codes.InvalidArgument},
		"a deadline of 601 seconds":        {subscription("patient", k.topic, 601), codes.InvalidArgument},
		"publishing to no topic":           {publish(k.topic+"-none", text("x")), codes.NotFound},
		"publishing nothing":               {publish(k.topic, &pb.PubsubMessage{}), codes.InvalidArgument},
	} {
		if status.Code(c.err) != c.want {
			t.Errorf("%s: %v, want %v", what, c.err, c.want)
		}
	}
	t.Run("a deadline of nine seconds", func(t *testing.T) {
		official.Skip(t)
		if err := subscription("hasty", k.topic, 9); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v, want InvalidArgument", err)
		}
	})
}

func TestContractDeletedTopic(t *testing.T) {
	t.Parallel()
	k := newContract(t)
	name := k.subscribe("orphan", &pb.Subscription{})
	if err := k.TopicAdminClient.DeleteTopic(t.Context(), &pb.DeleteTopicRequest{Topic: k.topic}); err != nil {
		t.Fatal(err)
	}
	s, err := k.SubscriptionAdminClient.GetSubscription(t.Context(), &pb.GetSubscriptionRequest{Subscription: name})
	switch {
	case err != nil:
		t.Errorf("after its topic was deleted: error %v, want none", err)
	case s.GetTopic() != "_deleted-topic_":
		t.Errorf(`after its topic was deleted: topic %q, want "_deleted-topic_"`, s.GetTopic())
	}
}
