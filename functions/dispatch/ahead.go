package dispatch

import (
	"context"
	"sync"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// ahead is how much sending may be cut and not sent: of all mailings together
	// at the project's quota, of a mailing with a rate at its rate.
	ahead = 2 * time.Minute
	// roomAfter is how long a shard waits for room at least.
	roomAfter = 10 * time.Second
	// slotsAhead is how long before its first slot a page of a mailing with a rate
	// is cut, and nextRound how soon tick may not yet know of a batch: its rounds
	// are a minute apart, and each looks a little further.
	slotsAhead = 75 * time.Second
	nextRound  = 65 * time.Second
)

// later says when to go on, zero for at once: a mailing waits while two minutes
// of sending lie ready, its share of them, and a mailing with a rate until its
// next slot is near. So an outage leaves no more than that to be sent at once.
func (c *cutting) later(ctx context.Context) (time.Time, error) {
	now := c.Now()
	if c.m.Rate() > 0 && c.sh.NextSlot.Sub(now) >= ahead {
		return c.sh.NextSlot.Add(-slotsAhead), nil
	}
	most, err := c.share(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if c.sinceCount < most/(8*max(1, c.m.Shards)) {
		return time.Time{}, nil
	}

	open, err := c.Store.OpenTokens(ctx, c.m.ID)
	if err != nil {
		return time.Time{}, err
	}
	switch {
	case open < most:
		c.sinceCount = 0
		return time.Time{}, nil
	case c.m.Rate() > 0 && c.sh.NextSlot.Sub(now) > slotsAhead+roomAfter:
		return c.sh.NextSlot.Add(-slotsAhead), nil
	}
	return now.Add(roomAfter), nil
}

// most is how many targets of the mailing may be cut and not sent if it were
// alone.
func (c *cutting) most() int {
	perMinute := c.QuotaPerMinute
	if r := c.m.Rate(); r > 0 {
		perMinute = min(perMinute, r)
	}
	return perMinute * int(ahead/time.Minute)
}

// share is how many targets of the mailing may be cut and not sent beside the
// other mailings. One with a rate has what its rate allows, for that is little.
// Each of the others that is being cut has the same share. When what is open of
// all of them uses everything up, because some were cut whole before others
// began, each may still have a quarter of its share, so that deliver has something
// of each to send.
func (c *cutting) share(ctx context.Context) (int, error) {
	most := c.most()
	if c.m.Rate() > 0 {
		return most, nil
	}
	all, err := c.ahead.get(ctx, c.Store, c.Now())
	if err != nil {
		return 0, err
	}
	share := most / max(1, all.Mailings)
	if all.Tokens >= most {
		share /= 4
	}
	return share, nil
}

// An estimate is what is cut and not sent of all mailings together, as it was
// read at most a second ago, with what this instance has cut since; safe for
// concurrent use.
type estimate struct {
	mu  sync.Mutex
	all store.Ahead
	at  time.Time // zero: never read
}

// estimateAge is how old an estimate may be. Reading it costs a read for 1,000
// open batches, one for 1,000 mailings being cut, and one or two a paused mailing.
const estimateAge = time.Second

func (e *estimate) get(ctx context.Context, s ledger, now time.Time) (store.Ahead, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.at.IsZero() && now.Sub(e.at) < estimateAge {
		return e.all, nil
	}
	all, err := s.CountAhead(ctx)
	if err != nil {
		return store.Ahead{}, err
	}
	e.all, e.at = all, now
	return all, nil
}

// add counts targets that this instance has cut.
func (e *estimate) add(tokens int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all.Tokens += tokens
}

// laneOf chooses the lane of the mailing's batches once its first page is read.
// A mailing of one page, and one whose rate is a small part of the quota, has
// few or small batches: they do not wait behind those of large mailings.
func (c *cutting) laneOf() push.Lane {
	if c.whole || c.m.Rate() > 0 && c.m.Rate() <= c.QuotaPerMinute/10 {
		return push.LaneSmall
	}
	return push.LaneLarge
}
