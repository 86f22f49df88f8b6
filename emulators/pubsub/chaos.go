package pubsub

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Chaos has effects that at-least-once, unordered delivery allows and that never occur on
// an idle machine. It applies to every subscription, for messages that are published after
// SetChaos. Which messages are affected depends on Seed, the subscription, and the number
// of its messages so far.
type Chaos struct {
	Duplicate float64       // share of messages that are delivered once more than necessary
	Delay     time.Duration // a first delivery is delayed by up to this time
	Reorder   bool          // the next message is any of those that are ready, except within an ordering key
	Seed      uint64
}

// SetChaos replaces the previous Chaos; Chaos{} switches it off.
func (s *Server) SetChaos(c Chaos) {
	s.chaos.Store(&c)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, b := range s.subs {
		b.mu.Lock()
		b.rand = newRandom(c.Seed, b.name)
		b.mu.Unlock()
	}
}

// newRandom returns a source of chance for a subscription. It is the same for the same
// seed and name.
func newRandom(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// chaosDelayLocked returns the delay of a first delivery.
func (b *subscription) chaosDelayLocked(c *Chaos) time.Duration {
	if c.Delay <= 0 {
		return 0
	}
	return time.Duration(b.rand.Int64N(int64(c.Delay) + 1))
}

// chaosDuplicateLocked reports whether a message gets an unnecessary duplicate.
func (b *subscription) chaosDuplicateLocked(c *Chaos) bool {
	return c.Duplicate > 0 && b.rand.Float64() < c.Duplicate
}
