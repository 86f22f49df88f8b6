package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxEnvelope is the longest push request that is accepted: a message of 10 MB in
// base64, and its envelope.
const maxEnvelope = 14 << 20

// A Message is a message from a push subscription.
type Message struct {
	ID           string
	Data         []byte
	Attributes   map[string]string
	Subscription string
	Attempt      int // 0 if the subscription has no dead letter topic
}

// DeadLetterOf returns the subscription that gave the message up, "" for a message that is
// not a dead letter.
func (m Message) DeadLetterOf() string {
	return m.Attributes["CloudPubSubDeadLetterSourceSubscription"]
}

// A Reply is the answer to Pub/Sub for a message: acknowledge it, or redeliver it.
type Reply int

// Ack acknowledges the message. After Redeliver, Pub/Sub delivers the message again after
// the back-off of the subscription, and after too many deliveries it moves the message to
// the dead letters.
const (
	Ack Reply = iota
	Redeliver
)

// pushed is the body of a push request. The binary CloudEvents of Eventarc for
// Pub/Sub have the same body.
type pushed struct {
	Message *struct {
		Data       []byte            `json:"data"`
		Attributes map[string]string `json:"attributes"`
		MessageID  string            `json:"messageId"`
	} `json:"message"`
	Subscription    string `json:"subscription"`
	DeliveryAttempt int    `json:"deliveryAttempt"`
}

// Decode reads the body of a push request.
func Decode(body []byte) (Message, error) {
	var p pushed
	if err := json.Unmarshal(body, &p); err != nil {
		return Message{}, fmt.Errorf("this is not a push request of Pub/Sub: %w", err)
	}
	if p.Message == nil {
		return Message{}, fmt.Errorf("this is not a push request of Pub/Sub: it has no message")
	}

	return Message{
		ID: p.Message.MessageID, Data: p.Message.Data, Attributes: p.Message.Attributes,
		Subscription: p.Subscription, Attempt: p.DeliveryAttempt,
	}, nil
}

// Receive returns the HTTP handler of a push subscription. A body that is not a push
// request gets 400.
func Receive(handle func(context.Context, Message) Reply) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "a push subscription of Pub/Sub sends POST requests", http.StatusMethodNotAllowed)
			return
		}

		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEnvelope))
		if err != nil {
			http.Error(w, "the body cannot be read, or is longer than a push request of Pub/Sub can be", http.StatusBadRequest)
			return
		}
		m, err := Decode(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}

		if handle(r.Context(), m) == Redeliver {
			http.Error(w, "not done; deliver it again", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}
