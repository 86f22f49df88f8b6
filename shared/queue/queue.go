// Package queue publishes messages between the functions, and events for other
// systems. No other package uses Pub/Sub.
package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"carillon.example/shared/push"
)

// Topics has the names of the topics that a function publishes to. "" is a topic that it
// does not publish to.
type Topics struct {
	Dispatch     string // push.DispatchMessage
	Deliver      string // push.BatchRef of push.LaneLarge
	DeliverSmall string // push.BatchRef of push.LaneSmall
	Messages     string // push.MessageRef
	Tick         string // push.Wake
	Events       string // CloudEvents JSON
}

// A Queue publishes messages. Every method returns only after Pub/Sub has accepted them,
// because Cloud Run may stop the CPU of a function after its answer.
type Queue struct {
	dispatch, deliver, small, messages, tick, events *pubsub.Publisher
}

// New makes the publishers of the topics. The caller closes the client.
func New(client *pubsub.Client, t Topics) *Queue {
	open := func(name string) *pubsub.Publisher {
		if name == "" {
			return nil
		}
		p := client.Publisher(name)
		p.PublishSettings.DelayThreshold = 2 * time.Millisecond
		return p
	}

	q := &Queue{dispatch: open(t.Dispatch), deliver: open(t.Deliver), small: open(t.DeliverSmall), messages: open(t.Messages),
		tick: open(t.Tick), events: open(t.Events)}

	if q.messages != nil {
		q.messages.EnableMessageOrdering = true
		q.messages.PublishSettings.CountThreshold = 1 // the client never publishes messages of different keys together, so waiting for more gains nothing
	}

	return q
}

// Stop waits until all messages so far are published, and stops the publishers.
func (q *Queue) Stop() {
	for _, p := range []*pubsub.Publisher{q.dispatch, q.deliver, q.small, q.messages, q.tick, q.events} {
		if p != nil {
			p.Stop()
		}
	}
}

// PublishDispatch asks dispatch to start mailings, or to go on with their shards.
func (q *Queue) PublishDispatch(ctx context.Context, messages ...push.DispatchMessage) error {
	return publishAll(ctx, q.dispatch, "dispatch messages", messages, encodeJSON)
}

// PublishBatches asks deliver to send batches of a lane.
func (q *Queue) PublishBatches(ctx context.Context, lane push.Lane, refs ...push.BatchRef) error {
	if lane == push.LaneSmall {
		return publishAll(ctx, q.small, "batches of the small lane", refs, encodeJSON)
	}
	return publishAll(ctx, q.deliver, "batches", refs, encodeJSON)
}

// PublishMessages asks deliver to send messages to one customer each. The ordering key is
// the id of the message: Pub/Sub delivers only one copy of it at a time, so two calls never
// send the same message at the same time.
func (q *Queue) PublishMessages(ctx context.Context, refs ...push.MessageRef) error {
	err := publishAll(ctx, q.messages, "messages", refs, func(ref push.MessageRef) (*pubsub.Message, error) {
		m, err := encodeJSON(ref)
		m.OrderingKey = ref.Message
		return m, err
	})

	if err != nil && q.messages != nil {
		for _, ref := range refs { // after an error the publisher refuses the key until it is resumed
			q.messages.ResumePublish(ref.Message)
		}
	}
	return err
}

// PublishWake asks tick to check mailings before its next round.
func (q *Queue) PublishWake(ctx context.Context, mailings ...string) error {
	list := make([]push.WakeMessage, len(mailings))
	for i, id := range mailings {
		list[i].Mailing = id
	}
	return publishAll(ctx, q.tick, "mailings to check", list, encodeJSON)
}

// PublishEvents publishes events. A subscriber may receive an event twice, with the same
// id.
func (q *Queue) PublishEvents(ctx context.Context, events ...push.Event) error {
	return publishAll(ctx, q.events, "events", events, cloudEvent)
}

// encodeJSON encodes x as the data of a message.
func encodeJSON[T any](x T) (*pubsub.Message, error) {
	b, err := json.Marshal(x)
	return &pubsub.Message{Data: b}, err
}

// publishAll publishes every message of a list and waits for all of them. what names the
// messages in errors. If Pub/Sub does not accept one, the error is *push.Unavailable; the
// others may be published.
func publishAll[T any](ctx context.Context, p *pubsub.Publisher, what string, list []T, encode func(T) (*pubsub.Message, error)) error {
	if len(list) == 0 {
		return nil
	}
	if p == nil {
		return fmt.Errorf("publishing %s: this function has no topic for them", what)
	}

	results := make([]*pubsub.PublishResult, 0, len(list))
	for _, x := range list {
		m, err := encode(x)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", what, err)
		}
		results = append(results, p.Publish(ctx, m))
	}

	var faults []error
	for _, r := range results {
		if _, err := r.Get(ctx); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return &push.Unavailable{Err: fmt.Errorf("publishing %d of %d %s: %w", len(faults), len(list), what, faults[0])}
	}

	return nil
}
