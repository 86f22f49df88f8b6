package pubsub

import (
	"maps"
	"strconv"
	"strings"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

const (
	// Defaults of a retry policy.
	leastBackOff = 10 * time.Second
	mostBackOff  = 600 * time.Second
	// Back-off of a push subscription without a retry policy.
	leastPushBackOff = 100 * time.Millisecond
	mostPushBackOff  = 60 * time.Second
	// defaultAttempts is the number of attempts of a dead letter policy that names none.
	defaultAttempts = 5
)

// backOff returns how long a message waits for its next attempt: the minimum at first, then
// twice as long each time, up to the maximum. With pull and without a retry policy it does
// not wait.
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

// attemptsOver reports whether a message with so many deliveries becomes a dead letter.
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

// attemptsUsedLocked reports whether the lease of an entry was its last attempt.
func (b *subscription) attemptsUsedLocked(e *entry) bool {
	return !e.twin && !e.dropped && attemptsOver(b.conf, e.attempt)
}

// publishDeadLetter publishes a message to the dead letter topic. The lock must not be
// held, because this subscription may be one of that topic.
func (b *subscription) publishDeadLetter(c *pb.Subscription, e *entry) error {
	attrs := maps.Clone(e.msg.GetAttributes())
	if attrs == nil {
		attrs = map[string]string{}
	}
	parts := strings.Split(b.name, "/") // projects/{project}/subscriptions/{subscription}
	attrs["CloudPubSubDeadLetterSourceDeliveryCount"] = strconv.Itoa(e.attempt)
	attrs["CloudPubSubDeadLetterSourceSubscription"] = parts[3]
	attrs["CloudPubSubDeadLetterSourceSubscriptionProject"] = parts[1]
	attrs["CloudPubSubDeadLetterSourceTopicPublishTime"] = e.msg.GetPublishTime().AsTime().Format("2006-01-02T15:04:05.000-07:00")
	return b.s.publishMessages(c.GetDeadLetterPolicy().GetDeadLetterTopic(),
		[]*pb.PubsubMessage{{Data: e.msg.GetData(), Attributes: attrs, OrderingKey: e.msg.GetOrderingKey()}})
}

// publishDeadLetters publishes the entries whose last lease has ended. If the dead
// letter topic was deleted, they are delivered again.
func (b *subscription) publishDeadLetters(dead []*entry) {
	for _, e := range dead {
		err := b.publishDeadLetter(b.config(), e)
		b.mu.Lock()
		delete(b.hands, e)
		if err != nil {
			b.scheduleRetryLocked(e)
		} else {
			b.removeSettledLocked(e)
		}
		b.wakeLocked()
		b.mu.Unlock()
	}
}
