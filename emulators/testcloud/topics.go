package testcloud

import "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

// A Message is a published message.
type Message struct {
	Data        string
	Attributes  map[string]string
	OrderingKey string
}

// Topic makes topics, each with a subscription that keeps what is published.
func (l *Cloud) Topic(names ...string) {
	l.t.Helper()
	ctx := l.t.Context()
	for _, name := range names {
		topic := &pubsubpb.Topic{Name: "projects/" + l.project + "/topics/" + name}
		if _, err := l.PubSub().TopicAdminClient.CreateTopic(ctx, topic); err != nil {
			l.t.Fatal(err)
		}
		sub := &pubsubpb.Subscription{Name: l.subscriptionName(name), Topic: topic.Name, AckDeadlineSeconds: 600}
		if _, err := l.PubSub().SubscriptionAdminClient.CreateSubscription(ctx, sub); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *Cloud) subscriptionName(topic string) string {
	return "projects/" + l.project + "/subscriptions/" + topic
}

// Published takes n messages from a topic and checks that there are no more. They
// must be there already: publishers wait for Pub/Sub.
func (l *Cloud) Published(topic string, n int) (out []Message) {
	l.t.Helper()
	for len(out) <= n {
		more := l.pullMessages(topic)
		if len(more) == 0 {
			break
		}
		out = append(out, more...)
	}
	if len(out) != n {
		l.t.Fatalf("topic %s got %d messages, want %d: %v", topic, len(out), n, out)
	}
	return out
}

// pullMessages takes the messages that are there.
func (l *Cloud) pullMessages(topic string) (out []Message) {
	l.t.Helper()
	//lint:ignore SA1019 no message comes later, so the pull need not wait
	req := &pubsubpb.PullRequest{Subscription: l.subscriptionName(topic), MaxMessages: 100, ReturnImmediately: true} //nolint:staticcheck // as above
	res, err := l.PubSub().SubscriptionAdminClient.Pull(l.t.Context(), req)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, m := range res.GetReceivedMessages() {
		out = append(out, Message{string(m.GetMessage().GetData()), m.GetMessage().GetAttributes(), m.GetMessage().GetOrderingKey()})
	}
	return out
}
