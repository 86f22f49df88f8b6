package fcm

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Stats are counts since the start or the last Clear; connections are never
// reset.
type Stats struct {
	Requests int `json:"requests"` // calls of messages:send
	// FirstAt and LastAt are when the first and the last of them came.
	FirstAt   time.Time `json:"firstAt,omitzero"`
	LastAt    time.Time `json:"lastAt,omitzero"`
	Accepted  int       `json:"accepted"`  // messages answered OK, and kept
	Validated int       `json:"validated"` // validate_only answered OK
	// Outcomes counts requests by the name of their outcome; those of the
	// judging of messages are there besides those a rule may give.
	Outcomes map[string]int `json:"outcomes"`
	// Statuses counts answers by HTTP status; requests that got none are not
	// in it.
	Statuses map[int]int `json:"statuses"`
	// OverQuota are requests refused since their project's quota was used up.
	// They are among the 429s of Statuses; those of rules and chaos are not here.
	OverQuota int `json:"overQuota"`
	// Duplicates are messages delivered for the same mailing_id and token, or
	// installation id, as one before.
	Duplicates int `json:"duplicates"`
	// DuplicatesExact is false while duplicates are not counted, or once more
	// messages were delivered than there is memory to compare with.
	DuplicatesExact     bool `json:"duplicatesExact"`
	Abandoned           int  `json:"abandoned"` // clients that left before their answer
	Kept                int  `json:"kept"`      // messages in memory
	ConnectionsAccepted int  `json:"connectionsAccepted"`
	OpenConnections     int  `json:"openConnections"`
}

// maxSeen bounds the memory for duplicates: about 400 MB.
const maxSeen = 20_000_000

// counts holds the stats and wakes who waits for them.
type counts struct {
	mu      sync.Mutex
	stats   Stats
	number  uint64 // of the request, never reset: chaos is drawn with it
	seen    map[uint64]struct{}
	seed    maphash.Seed
	full    bool
	changed chan struct{} // nil while nobody waits
}

func (c *counts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats = Stats{Outcomes: map[string]int{}, Statuses: map[int]int{},
		ConnectionsAccepted: c.stats.ConnectionsAccepted, OpenConnections: c.stats.OpenConnections}
	c.seen, c.full, c.seed = map[uint64]struct{}{}, false, maphash.MakeSeed()
	c.wake()
}

// change alters the stats and wakes who waits.
func (c *counts) change(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
	c.wake()
}

func (c *counts) wake() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// arrived counts a request and returns its number.
func (c *counts) arrived() uint64 {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stats.FirstAt.IsZero() {
		c.stats.FirstAt = now
	}
	c.stats.LastAt = now
	c.stats.Requests++
	c.number++
	c.wake()
	return c.number
}

// decided counts what did not accept a message; status is that of the answer, 0
// where there is none.
func (c *counts) decided(outcome string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Outcomes[outcome]++
	if status != 0 {
		c.stats.Statuses[status]++
	}
	c.wake()
}

// accepted counts a message that was taken, or only validated.
func (c *counts) accepted(outcome string, validated bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Outcomes[outcome]++
	c.stats.Statuses[http.StatusOK]++
	if validated {
		c.stats.Validated++
	} else {
		c.stats.Accepted++
	}
	c.wake()
}

// note remembers a mailing's message to a device and counts it if it is not
// the first. 64-bit hashes stand for the pairs: two of a million pairs share
// one with a chance of one in thirty-seven million.
func (c *counts) note(mailing, device string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(mailing)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(device)
	sum := h.Sum64()
	if _, again := c.seen[sum]; again {
		c.stats.Duplicates++
		return
	}
	if c.full = c.full || len(c.seen) >= maxSeen; !c.full {
		c.seen[sum] = struct{}{}
	}
}

func (c *counts) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Outcomes, s.Statuses = maps.Clone(s.Outcomes), maps.Clone(s.Statuses)
	s.DuplicatesExact = !c.full
	return s
}

// next is closed by the next change.
func (c *counts) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

// Wait blocks until the stats are as asked, and looks at each change; it fails
// with the context, naming the stats it saw last.
func (s *Server) Wait(ctx context.Context, asked func(Stats) bool) error {
	for {
		changed := s.counts.next() // before looking, so that no change is missed
		now := s.Stats()
		if asked(now) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the FCM emulator, last seen %+v: %w", now, context.Cause(ctx))
		}
	}
}
