package pubsub

import (
	"sync"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// A Message is a published message.
type Message struct {
	ID          string
	Data        []byte
	Attributes  map[string]string
	OrderingKey string
	PublishTime time.Time
}

// memory has the last messages of a topic.
type memory struct {
	mu   sync.Mutex // guards ring and next
	keep int        // the size of the ring; it never changes
	ring []*pb.PubsubMessage
	next int // index of the next message once the ring is full
}

func (m *memory) add(msgs []*pb.PubsubMessage) {
	if m.keep <= 0 {
		return
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range msgs {
		if len(m.ring) < m.keep {
			m.ring = append(m.ring, x)
			continue
		}
		m.ring[m.next] = x
		m.next = (m.next + 1) % m.keep
	}
}

func (m *memory) list() []Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Message, 0, len(m.ring))
	for i := range m.ring {
		x := m.ring[(m.next+i)%len(m.ring)]
		out = append(out, Message{ID: x.GetMessageId(), Data: x.GetData(), Attributes: x.GetAttributes(),
			OrderingKey: x.GetOrderingKey(), PublishTime: x.GetPublishTime().AsTime()})
	}
	return out
}

// Messages returns the last Options.Keep messages that were published to a topic,
// projects/{project}/topics/{topic}, oldest first, delivered or not. Callers must not
// change data and attributes.
func (s *Server) Messages(topic string) []Message {
	t, err := s.findTopic(topic)
	if err != nil {
		return nil
	}
	return t.memory.list()
}
