package deliver

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"carillon.example/shared/personal"
	"carillon.example/shared/push"
)

// maxCached is how many mailings have their payload and their state cached. A payload
// has a few kilobytes.
const maxCached = 200

// payloadCache caches the compiled payloads of running mailings. Each is compiled once,
// and calls of other mailings do not wait for it.
//
// The payload of a message to one customer is not cached, because it is sent once. Its
// template is.
type payloadCache struct {
	mu        sync.Mutex // guards m; calls of all mailings share the cache
	m         map[string]func() (payloadSet, error)
	templates personal.Cache
}

func newPayloadCache() *payloadCache {
	return &payloadCache{m: map[string]func() (payloadSet, error){}}
}

// getPayloads returns the payloads of a mailing, or the one of a message.
func (c *payloadCache) getPayloads(m *push.Mailing) (payloadSet, error) {
	if m.Single {
		t, faults := c.templates.CompileMessage(m.Message, m.Link)
		if err := faults.Err(); err != nil {
			return nil, err
		}
		p, err := newPayload(m, m.ListPayloads()[0], t)
		return payloadSet{p}, err
	}

	// The lock is held only to find or add the entry. sync.OnceValues makes the calls of the
	// same mailing wait for the first one, which compiles.
	c.mu.Lock()
	compiled := c.m[m.ID]
	if compiled == nil {
		compiled = sync.OnceValues(func() (payloadSet, error) { return newPayloadSet(m) })
		if len(c.m) >= maxCached {
			clear(c.m)
		}
		c.m[m.ID] = compiled
	}
	c.mu.Unlock()
	return compiled()
}

// stateCache caches the states of mailings for at most stateAge. All batches of a mailing
// in this instance share a reading.
type stateCache struct {
	store dataStore
	now   func() time.Time
	reads singleflight.Group
	mu    sync.Mutex // guards m; not held while a mailing is read
	m     map[string]cachedState
}

// cachedState is a mailing, and when it was read.
type cachedState struct {
	m  *push.Mailing
	at time.Time // when the reading began
}

const (
	stateAge = time.Second
	// stateTimeout is how long a reading takes at most. It serves many calls, so it
	// does not end with any of them.
	stateTimeout = 15 * time.Second
)

func newStateCache(s dataStore, now func() time.Time) *stateCache {
	return &stateCache{store: s, now: now, m: map[string]cachedState{}}
}

// getState returns a mailing as it was at most stateAge ago. It reads the mailing, or waits for
// the call that is reading it, as long as ctx is not done.
func (c *stateCache) getState(ctx context.Context, id string) (*push.Mailing, error) {
	if m := c.freshState(id); m != nil {
		return m, nil
	}
	read := c.reads.DoChan(id, func() (any, error) {
		// Without the cancellation of ctx: the reading serves other calls too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stateTimeout)
		defer cancel()
		if m := c.freshState(id); m != nil {
			return m, nil // another call has read it while this one waited
		}
		return c.readState(ctx, id)
	})

	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case res := <-read:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.(*push.Mailing), nil
	}
}

// freshState returns the mailing as it was read less than stateAge ago, or nil.
func (c *stateCache) freshState(id string) *push.Mailing {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.m[id]; ok && c.now().Sub(have.at) < stateAge {
		return have.m
	}
	return nil
}

// readState reads a mailing and caches it. A full cache is cleared first.
func (c *stateCache) readState(ctx context.Context, id string) (*push.Mailing, error) {
	began := c.now()
	m, err := c.store.ReadMailingHeader(ctx, id)
	if err != nil {
		return nil, err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= maxCached {
		clear(c.m)
	}
	c.m[id] = cachedState{m, began}
	return m, nil
}

// settingsAge is how long the settings are cached. A change counts for messages to one
// customer after this time.
const settingsAge = 2 * time.Second

// settingsCache caches the settings for messages to one customer, each of which would
// read them.
type settingsCache struct {
	store dataStore
	now   func() time.Time
	mu    sync.Mutex // guards set and at; held while the settings are read, so that others wait for the reading
	set   push.Settings
	at    time.Time // when the reading began
}

// getSettings returns the settings as they were at most settingsAge ago.
func (c *settingsCache) getSettings(ctx context.Context) (push.Settings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.at.IsZero() && now.Sub(c.at) < settingsAge {
		return c.set, nil
	}

	set, err := c.store.ReadSettings(ctx)
	if err != nil {
		return push.Settings{}, err
	}
	c.set, c.at = set, now
	return set, nil
}
