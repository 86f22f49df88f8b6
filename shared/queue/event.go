package queue

import (
	"encoding/json"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"carillon.example/shared/push"
)

// envelope is a CloudEvent 1.0 in JSON (structured mode).
type envelope struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        time.Time `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Data        any       `json:"data"`
}

// cloudEvent encodes an event. Its type is also an attribute of the message, so that a
// subscription can filter by it.
func cloudEvent(e push.Event) (*pubsub.Message, error) {
	b, err := json.Marshal(envelope{
		SpecVersion: "1.0", ID: e.ID, Source: "//carillon", Type: e.Type, Subject: e.Subject,
		Time: e.Time.UTC(), ContentType: "application/json", Data: e.Data,
	})
	return &pubsub.Message{Data: b, Attributes: map[string]string{
		"content-type": "application/cloudevents+json", "type": e.Type, "id": e.ID,
	}}, err
}
