package deliver

import (
	"context"
	"sync"
	"time"

	"carillon.example/shared/push"
)

// payloads keeps the compiled messages of the mailings under way.
type payloads struct {
	mu sync.Mutex
	m  map[string]*payload
}

// maxCached is how many are kept; a mailing's is a few kilobytes.
const maxCached = 200

func newPayloads() *payloads { return &payloads{m: map[string]*payload{}} }

func (c *payloads) get(m *push.Mailing) (*payload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.m[m.ID]; p != nil {
		return p, nil
	}
	p, err := newPayload(m)
	if err != nil {
		return nil, err
	}
	if len(c.m) >= maxCached {
		clear(c.m)
	}
	c.m[m.ID] = p
	return p, nil
}

// states answers whether a mailing is still to be sent, from a reading at most
// a second old, shared by all its batches in this instance.
type states struct {
	store ledger
	now   func() time.Time
	mu    sync.Mutex
	m     map[string]state
}

type state struct {
	m  *push.Mailing
	at time.Time
}

const stateAge = time.Second

func newStates(s ledger, now func() time.Time) *states {
	return &states{store: s, now: now, m: map[string]state{}}
}

func (c *states) get(ctx context.Context, id string) (*push.Mailing, error) {
	c.mu.Lock()
	have, ok := c.m[id]
	if ok && c.now().Sub(have.at) < stateAge {
		c.mu.Unlock()
		return have.m, nil
	}
	// Whoever else asks meanwhile is content with the last answer.
	if ok {
		c.m[id] = state{have.m, c.now()}
	}
	c.mu.Unlock()
	m, err := c.store.Peek(ctx, id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= maxCached {
		clear(c.m)
	}
	c.m[id] = state{m, c.now()}
	return m, nil
}
