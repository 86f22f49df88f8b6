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

// Stats has counts since the start or the last Clear. Counts of connections are never
// reset.
type Stats struct {
	Requests int `json:"requests"` // calls of messages:send
	// FirstAt and LastAt are the times of the first and the last of them.
	FirstAt   time.Time `json:"firstAt,omitzero"`
	LastAt    time.Time `json:"lastAt,omitzero"`
	Accepted  int       `json:"accepted"`  // messages that were accepted and stored
	Validated int       `json:"validated"` // requests with validate_only that were accepted
	// Outcomes counts requests by the name of their outcome: those of rules, and
	// those of the validation of messages.
	Outcomes map[string]int `json:"outcomes"`
	// Statuses counts answers by HTTP status. Requests without an answer are not
	// counted.
	Statuses map[int]int `json:"statuses"`
	// OverQuota counts requests that were refused because the quota of their project
	// was used up. They are part of the 429 of Statuses. 429 of rules and chaos are
	// not counted here.
	OverQuota int `json:"overQuota"`
	// Duplicates counts delivered messages with the same mailing_id and token, or
	// installation id, as an earlier one.
	Duplicates int `json:"duplicates"`
	// DuplicatesExact is false if duplicates are not counted, or if more messages
	// were delivered than fit into the memory for the comparison.
	DuplicatesExact     bool `json:"duplicatesExact"`
	Abandoned           int  `json:"abandoned"` // clients that disconnected before their answer
	Kept                int  `json:"kept"`      // messages that are stored
	ConnectionsAccepted int  `json:"connectionsAccepted"`
	OpenConnections     int  `json:"openConnections"`
}

// maxSeen limits the memory for duplicates to about 400 MB.
const maxSeen = 20_000_000

// counts has the stats and notifies goroutines that wait for a change.
type counts struct {
	mu         sync.Mutex // guards all fields
	stats      Stats
	lastNumber uint64 // number of the last request; it is never reset, because chaos is drawn by it
	seen       map[uint64]struct{}
	seed       maphash.Seed
	full       bool
	changed    chan struct{} // closed by the next change; nil if no goroutine waits
}

func (c *counts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats = Stats{Outcomes: map[string]int{}, Statuses: map[int]int{},
		ConnectionsAccepted: c.stats.ConnectionsAccepted, OpenConnections: c.stats.OpenConnections}
	c.seen, c.full, c.seed = map[uint64]struct{}{}, false, maphash.MakeSeed()
	c.wakeLocked()
}

// update changes the stats and notifies the goroutines that wait.
func (c *counts) update(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
	c.wakeLocked()
}

// wakeLocked notifies the goroutines that wait for a change.
func (c *counts) wakeLocked() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// countRequest counts a request and returns its number.
func (c *counts) countRequest() uint64 {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stats.FirstAt.IsZero() {
		c.stats.FirstAt = now
	}
	c.stats.LastAt = now
	c.stats.Requests++
	c.lastNumber++
	c.wakeLocked()
	return c.lastNumber
}

// countOutcome counts a request whose message was not accepted. status is that of the
// answer; 0 means that there is no answer.
func (c *counts) countOutcome(outcome string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Outcomes[outcome]++
	if status != 0 {
		c.stats.Statuses[status]++
	}
	c.wakeLocked()
}

// countAccepted counts a message that was accepted, or only validated.
func (c *counts) countAccepted(outcome string, validated bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Outcomes[outcome]++
	c.stats.Statuses[http.StatusOK]++
	if validated {
		c.stats.Validated++
	} else {
		c.stats.Accepted++
	}
	c.wakeLocked()
}

// noteDuplicate stores the pair of mailing and device of a message, and counts a
// duplicate if the pair was stored before. Pairs are stored as 64-bit hashes: the
// probability that two of a million pairs have the same hash is one in thirty-seven
// million.
func (c *counts) noteDuplicate(mailing, device string) {
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

// nextChange returns a channel that the next change closes.
func (c *counts) nextChange() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

// Wait waits until a condition of the stats is true, and checks it at each change. If ctx
// ends first, the error has the last stats.
func (s *Server) Wait(ctx context.Context, asked func(Stats) bool) error {
	for {
		changed := s.counts.nextChange() // before the check, so that no change is missed
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
