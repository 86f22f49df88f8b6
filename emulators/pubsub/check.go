package pubsub

import (
	"regexp"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Limits of the service for names and messages.
const (
	maxMessages       = 1000
	maxRequestBytes   = 10_000_000
	maxAttributes     = 100
	maxAttributeKey   = 256
	maxAttributeValue = 1024
	maxOrderingKey    = 1024
	minAckDeadline    = 10 // seconds
	maxAckDeadline    = 600
	minAttempts       = 5
	maxAttempts       = 100
)

// Names of resources, by the rules of the service. An id has 3 to 255 characters.
var (
	topicName        = regexp.MustCompile(`^projects/[^/]+/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`)
	subscriptionName = regexp.MustCompile(`^projects/[^/]+/subscriptions/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`)
	reservedName     = regexp.MustCompile(`/goog[^/]*$`)
)

func invalidArgument(format string, a ...any) error {
	return status.Errorf(codes.InvalidArgument, format, a...)
}

func unimplemented(what string) error {
	return status.Errorf(codes.Unimplemented, "%s not implemented by this emulator", what)
}

func checkName(name string, rule *regexp.Regexp, what string) error {
	if !rule.MatchString(name) || reservedName.MatchString(name) {
		return invalidArgument("Invalid resource name given (name=%s): the form is projects/{project}/%s/{id}, where the id has 3 to 255 letters, digits and -_.~+%%, begins with a letter, and does not begin with goog.", name, what)
	}
	return nil
}

func checkTopic(t *pb.Topic) error {
	switch {
	case t.GetSchemaSettings() != nil:
		return unimplemented("a topic's schema is")
	case t.GetIngestionDataSourceSettings() != nil:
		return unimplemented("ingestion is")
	case len(t.GetMessageTransforms()) > 0:
		return unimplemented("message transforms are")
	}
	return checkName(t.GetName(), topicName, "topics")
}

// withDefaults returns the subscription with the defaults of the service.
func withDefaults(c *pb.Subscription) *pb.Subscription {
	c = proto.CloneOf(c)
	c.State = pb.Subscription_ACTIVE
	if c.AckDeadlineSeconds == 0 {
		c.AckDeadlineSeconds = minAckDeadline
	}
	if c.MessageRetentionDuration == nil {
		c.MessageRetentionDuration = durationpb.New(7 * 24 * time.Hour)
	}
	if c.ExpirationPolicy == nil {
		c.ExpirationPolicy = &pb.ExpirationPolicy{Ttl: durationpb.New(31 * 24 * time.Hour)}
	}
	if c.PushConfig == nil {
		c.PushConfig = &pb.PushConfig{}
	}

	return c
}

func checkSubscription(c *pb.Subscription) error {
	if err := checkName(c.GetName(), subscriptionName, "subscriptions"); err != nil {
		return err
	}
	switch {
	case c.GetFilter() != "":
		return unimplemented("a subscription's filter is")
	case c.GetEnableExactlyOnceDelivery():
		return unimplemented("exactly-once delivery is")
	case c.GetPushConfig().GetNoWrapper() != nil:
		return unimplemented("pushing without a wrapper is")
	case c.GetBigqueryConfig() != nil, c.GetCloudStorageConfig() != nil:
		return unimplemented("exporting to BigQuery or Cloud Storage is")
	case len(c.GetMessageTransforms()) > 0:
		return unimplemented("message transforms are")
	}
	if d := c.GetAckDeadlineSeconds(); d < minAckDeadline || d > maxAckDeadline {
		return invalidArgument("Invalid ack deadline given (ack_deadline_seconds=%d): %d to %d are allowed.", d, minAckDeadline, maxAckDeadline)
	}
	if err := checkRetry(c.GetRetryPolicy()); err != nil {
		return err
	}

	p := c.GetDeadLetterPolicy()
	if n := p.GetMaxDeliveryAttempts(); n != 0 && (n < minAttempts || n > maxAttempts) {
		return invalidArgument("Invalid max_delivery_attempts given (%d): %d to %d are allowed.", n, minAttempts, maxAttempts)
	}
	if p != nil && p.GetDeadLetterTopic() == "" {
		return invalidArgument("A dead letter policy must name a topic.")
	}

	return nil
}

func checkRetry(p *pb.RetryPolicy) error {
	for _, d := range []*durationpb.Duration{p.GetMinimumBackoff(), p.GetMaximumBackoff()} {
		if d != nil && (d.CheckValid() != nil || d.AsDuration() < 0 || d.AsDuration() > mostBackOff) {
			return invalidArgument("Invalid back-off given (%v): 0 to 600 seconds are allowed.", d.AsDuration())
		}
	}
	if lo, hi := p.GetMinimumBackoff(), p.GetMaximumBackoff(); lo != nil && hi != nil && lo.AsDuration() > hi.AsDuration() {
		return invalidArgument("The minimum back-off %v is above the maximum %v.", lo.AsDuration(), hi.AsDuration())
	}
	return nil
}

func checkExtension(seconds int32) error {
	if seconds < 0 || seconds > maxAckDeadline {
		return invalidArgument("Invalid ack deadline given (ack_deadline_seconds=%d): 0 to %d are allowed.", seconds, maxAckDeadline)
	}
	return nil
}

func checkPublish(r *pb.PublishRequest) error {
	if n := len(r.GetMessages()); n == 0 || n > maxMessages {
		return invalidArgument("The request has %d messages: 1 to %d are allowed.", n, maxMessages)
	}
	if n := proto.Size(r); n > maxRequestBytes {
		return invalidArgument("The request has %d bytes: at most %d are allowed.", n, maxRequestBytes)
	}

	for i, m := range r.GetMessages() {
		if err := checkMessage(i, m); err != nil {
			return err
		}
	}
	return nil
}

func checkMessage(i int, m *pb.PubsubMessage) error {
	switch {
	case m == nil || len(m.GetData()) == 0 && len(m.GetAttributes()) == 0:
		return invalidArgument("Message %d has neither data nor attributes.", i)
	case len(m.GetAttributes()) > maxAttributes:
		return invalidArgument("Message %d has %d attributes: at most %d are allowed.", i, len(m.GetAttributes()), maxAttributes)
	case len(m.GetOrderingKey()) > maxOrderingKey:
		return invalidArgument("The ordering key of message %d has %d bytes: at most %d are allowed.", i, len(m.GetOrderingKey()), maxOrderingKey)
	}

	for k, v := range m.GetAttributes() {
		if k == "" || len(k) > maxAttributeKey || len(v) > maxAttributeValue {
			return invalidArgument("An attribute of message %d is too long, or has no key: at most %d bytes of key and %d of value are allowed.", i, maxAttributeKey, maxAttributeValue)
		}
	}
	return nil
}
