package pubsub

import (
	"sync/atomic"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// Usage is what would be billed so far.
type Usage struct {
	Messages int64 `json:"messages"` // published, dead letters included
	Bytes    int64 `json:"bytes"`    // of publish requests, each 1,000 at least
	// Delivered counts messages handed out, again for each attempt, and
	// DeliveredBytes those of the requests that carried them: 1,000 at least
	// for each push, however many messages were published together.
	Delivered      int64 `json:"delivered"`
	DeliveredBytes int64 `json:"deliveredBytes"`
}

type meter struct{ messages, bytes, delivered, deliveredBytes atomic.Int64 }

// leastBilled is what the price list asks for a request at the least.
const leastBilled = 1000

func (m *meter) published(messages, bytes int) {
	m.messages.Add(int64(messages))
	m.bytes.Add(int64(max(bytes, leastBilled)))
}

func (m *meter) handedOut(messages, bytes int) {
	m.delivered.Add(int64(messages))
	m.deliveredBytes.Add(int64(max(bytes, leastBilled)))
}

// billed is a message's volume by the price list: its data, the keys and values
// of its attributes, its id, and 20 bytes for the publish time. The ordering
// key is taken for one of its "optional fields".
func billed(m *pb.PubsubMessage) int {
	n := len(m.GetData()) + len(m.GetMessageId()) + len(m.GetOrderingKey()) + 20
	for k, v := range m.GetAttributes() {
		n += len(k) + len(v)
	}
	return n
}

// Usage is what would be billed so far.
func (s *Server) Usage() Usage {
	return Usage{
		Messages: s.usage.messages.Load(), Bytes: s.usage.bytes.Load(),
		Delivered: s.usage.delivered.Load(), DeliveredBytes: s.usage.deliveredBytes.Load(),
	}
}
