package lab

import "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

// A Message is one that came out of a topic.
type Message struct {
	Data       string
	Attributes map[string]string
}

// Topic makes topics, each with a subscription that keeps what is published.
func (l *Lab) Topic(names ...string) {
	l.t.Helper()
	ctx := l.t.Context()
	for _, name := range names {
		topic := &pubsubpb.Topic{Name: "projects/" + l.project + "/topics/" + name}
		if _, err := l.PubSub().TopicAdminClient.CreateTopic(ctx, topic); err != nil {
			l.t.Fatal(err)
		}
		sub := &pubsubpb.Subscription{Name: l.subscription(name), Topic: topic.Name, AckDeadlineSeconds: 600}
		if _, err := l.PubSub().SubscriptionAdminClient.CreateSubscription(ctx, sub); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *Lab) subscription(topic string) string {
	return "projects/" + l.project + "/subscriptions/" + topic
}

// Published takes n messages off a topic and expects no more of them. They have
// to be there: whoever publishes does not answer before.
func (l *Lab) Published(topic string, n int) (out []Message) {
	l.t.Helper()
	for len(out) <= n {
		more := l.pull(topic)
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

// pull takes what is there.
func (l *Lab) pull(topic string) (out []Message) {
	l.t.Helper()
	//lint:ignore SA1019 nothing is to come that is not there
	req := &pubsubpb.PullRequest{Subscription: l.subscription(topic), MaxMessages: 100, ReturnImmediately: true} //nolint:staticcheck // as above
	res, err := l.PubSub().SubscriptionAdminClient.Pull(l.t.Context(), req)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, m := range res.GetReceivedMessages() {
		out = append(out, Message{string(m.GetMessage().GetData()), m.GetMessage().GetAttributes()})
	}
	return out
}
