package pubsub

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Chaos is what at-least-once, unordered delivery allows and a quiet laptop
// never shows. It holds for every subscription and for messages published from
// now on. Who is hit depends on Seed, the subscription and how many messages it
// has had.
type Chaos struct {
	Duplicate float64       // share of messages delivered once more than they need be
	Delay     time.Duration // a first delivery comes up to this much later
	Reorder   bool          // any of the messages that are ready comes next, except within an ordering key
	Seed      uint64
}

// SetChaos replaces what was set before; Chaos{} ends it.
func (s *Server) SetChaos(c Chaos) {
	s.chaos.Store(&c)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, b := range s.subs {
		b.mu.Lock()
		b.rand = chance(c.Seed, b.name)
		b.mu.Unlock()
	}
}

func chance(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// delay and twice are asked with the subscription locked.
func (b *subscription) delay(c *Chaos) time.Duration {
	if c.Delay <= 0 {
		return 0
	}
	return time.Duration(b.rand.Int64N(int64(c.Delay) + 1))
}

func (b *subscription) twice(c *Chaos) bool {
	return c.Duplicate > 0 && b.rand.Float64() < c.Duplicate
}
