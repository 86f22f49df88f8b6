package pubsub

import (
	"encoding/json"
	"fmt"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// pushed is the JSON body of a push request.
type pushed struct {
	Message         pushedMessage `json:"message"`
	Subscription    string        `json:"subscription"`
	DeliveryAttempt int           `json:"deliveryAttempt,omitempty"`
}

// pushedMessage has id and time in both spellings, as the service sends them.
type pushedMessage struct {
	Data         []byte            `json:"data,omitempty"`
	Attributes   map[string]string `json:"attributes,omitempty"`
	MessageID    string            `json:"messageId"`
	MessageID2   string            `json:"message_id"`
	PublishTime  string            `json:"publishTime"`
	PublishTime2 string            `json:"publish_time"`
	OrderingKey  string            `json:"orderingKey,omitempty"`
}

// publishTimeFormat is the format of times in push requests, always with milliseconds.
const publishTimeFormat = "2006-01-02T15:04:05.000Z07:00"

// pushBody returns the body of the push of a message. It has the attempt only if the
// subscription has a dead letter policy.
func pushBody(c *pb.Subscription, m *pb.PubsubMessage, attempt int) []byte {
	at := m.GetPublishTime().AsTime().Format(publishTimeFormat)
	p := pushed{Subscription: c.GetName(), Message: pushedMessage{
		Data: m.GetData(), Attributes: m.GetAttributes(), OrderingKey: m.GetOrderingKey(),
		MessageID: m.GetMessageId(), MessageID2: m.GetMessageId(), PublishTime: at, PublishTime2: at}}

	if c.GetDeadLetterPolicy() != nil {
		p.DeliveryAttempt = attempt
	}

	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("pubsub: %v", err)) // cannot happen: bytes, strings and a number always marshal
	}
	return body
}
