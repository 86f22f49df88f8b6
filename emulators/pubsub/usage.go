package pubsub

import (
	"sync/atomic"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// Usage has the volume that the service would bill.
type Usage struct {
	Messages int64 `json:"messages"` // published messages, including dead letters
	Bytes    int64 `json:"bytes"`    // of publish requests, at least 1,000 for each
	// Delivered counts deliveries of messages, each attempt separately.
	// DeliveredBytes is their volume: at least 1,000 for each push, even if the
	// messages were published together.
	Delivered      int64 `json:"delivered"`
	DeliveredBytes int64 `json:"deliveredBytes"`
}

type meter struct{ messages, bytes, delivered, deliveredBytes atomic.Int64 }

// leastBilled is the least volume of a request in the price list, in bytes.
const leastBilled = 1000

func (m *meter) countPublished(messages, bytes int) {
	m.messages.Add(int64(messages))
	m.bytes.Add(int64(max(bytes, leastBilled)))
}

func (m *meter) countDelivered(messages, bytes int) {
	m.delivered.Add(int64(messages))
	m.deliveredBytes.Add(int64(max(bytes, leastBilled)))
}

// billedBytes returns the volume of a message by the price list, in bytes: its data, the
// keys and values of its attributes, its id, and 20 bytes for the publish time. The
// ordering key is counted as one of the "optional fields".
func billedBytes(m *pb.PubsubMessage) int {
	n := len(m.GetData()) + len(m.GetMessageId()) + len(m.GetOrderingKey()) + 20
	for k, v := range m.GetAttributes() {
		n += len(k) + len(v)
	}
	return n
}

// Usage returns the volume so far.
func (s *Server) Usage() Usage {
	return Usage{
		Messages: s.usage.messages.Load(), Bytes: s.usage.bytes.Load(),
		Delivered: s.usage.delivered.Load(), DeliveredBytes: s.usage.deliveredBytes.Load(),
	}
}
