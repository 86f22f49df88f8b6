package pubsub

import (
	"maps"
	"strconv"
	"strings"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

const (
	// Of a retry policy, where it leaves them open.
	leastBackOff = 10 * time.Second
	mostBackOff  = 600 * time.Second
	// Of a push subscription without one.
	leastPushBackOff = 100 * time.Millisecond
	mostPushBackOff  = 60 * time.Second
	// defaultAttempts of a dead letter policy that names none.
	defaultAttempts = 5
)

// backOff is how long a message waits for its next attempt: the least at first,
// then twice as long as the last time, up to the most. Without a retry policy
// pullers wait for nothing.
func backOff(c *pb.Subscription, last time.Duration) time.Duration {
	least, most := time.Duration(0), time.Duration(0)
	if p := c.GetRetryPolicy(); p != nil {
		least, most = leastBackOff, mostBackOff
		if p.GetMinimumBackoff() != nil {
			least = p.GetMinimumBackoff().AsDuration()
		}
		if p.GetMaximumBackoff() != nil {
			most = p.GetMaximumBackoff().AsDuration()
		}
	} else if c.GetPushConfig().GetPushEndpoint() != "" {
		least, most = leastPushBackOff, mostPushBackOff
	}
	return min(max(least, 2*last), max(least, most))
}

// attemptsOver reports whether this many deliveries were all a message gets
// before it is dead.
func attemptsOver(c *pb.Subscription, attempts int) bool {
	p := c.GetDeadLetterPolicy()
	if p.GetDeadLetterTopic() == "" {
		return false
	}
	most := int(p.GetMaxDeliveryAttempts())
	if most == 0 {
		most = defaultAttempts
	}
	return attempts >= most
}

// spent reports whether a leased entry has had its last attempt.
func (b *subscription) spent(e *entry) bool {
	return !e.twin && !e.dropped && attemptsOver(b.conf, e.attempt)
}

// bury publishes a message to the dead letter topic. It is called without the
// lock: that topic's subscriptions may be this one.
func (b *subscription) bury(c *pb.Subscription, e *entry) error {
	attrs := maps.Clone(e.msg.GetAttributes())
	if attrs == nil {
		attrs = map[string]string{}
	}
	parts := strings.Split(b.name, "/") // projects/{project}/subscriptions/{subscription}
	attrs["CloudPubSubDeadLetterSourceDeliveryCount"] = strconv.Itoa(e.attempt)
	attrs["CloudPubSubDeadLetterSourceSubscription"] = parts[3]
	attrs["CloudPubSubDeadLetterSourceSubscriptionProject"] = parts[1]
	attrs["CloudPubSubDeadLetterSourceTopicPublishTime"] = e.msg.GetPublishTime().AsTime().Format("2006-01-02T15:04:05.000-07:00")
	return b.s.publish(c.GetDeadLetterPolicy().GetDeadLetterTopic(),
		[]*pb.PubsubMessage{{Data: e.msg.GetData(), Attributes: attrs, OrderingKey: e.msg.GetOrderingKey()}})
}

// buryAll buries what pullers gave back for the last time. What cannot be
// published, because the dead letter topic is gone, is delivered again.
func (b *subscription) buryAll(dead []*entry) {
	for _, e := range dead {
		err := b.bury(b.config(), e)
		b.mu.Lock()
		delete(b.hands, e)
		if err != nil {
			b.again(e)
		} else {
			b.done(e)
		}
		b.wake()
		b.mu.Unlock()
	}
}
