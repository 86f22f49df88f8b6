package dispatch

import (
	"context"
	"sync"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// aheadTime is how much sending may be in batches that are not sent yet: for all
	// mailings together at the quota of the project, for a mailing with a rate at its
	// rate.
	aheadTime = 2 * time.Minute
	// minRoomWait is the shortest time that a shard waits for room.
	minRoomWait = 10 * time.Second
	// slotsAhead is how long before its first slot the page of a mailing with a rate
	// is created. nextRound is how soon tick may not know of a batch yet: its rounds
	// are a minute apart, and each lists what is due a little after the next one.
	slotsAhead = 75 * time.Second
	nextRound  = 65 * time.Second
)

// whenToContinue returns when to create more batches, zero for at once. A mailing
// waits while two minutes of sending are ready, counting its share of them; a mailing
// with a rate also waits until its next slot is near. So after an outage there is no
// more than that to send at once.
func (c *shardRun) whenToContinue(ctx context.Context) (time.Time, error) {
	now := c.Now()
	if c.mailing.RateLimit() > 0 && c.shard.NextSlot.Sub(now) >= aheadTime {
		return c.shard.NextSlot.Add(-slotsAhead), nil
	}
	most, err := c.fairShare(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if c.sinceCounted < most/(8*max(1, c.mailing.Shards)) {
		return time.Time{}, nil
	}

	open, err := c.Store.CountOpenTargets(ctx, c.mailing.ID)
	if err != nil {
		return time.Time{}, err
	}

	switch {
	case open < most:
		c.sinceCounted = 0
		return time.Time{}, nil
	case c.mailing.RateLimit() > 0 && c.shard.NextSlot.Sub(now) > slotsAhead+minRoomWait:
		return c.shard.NextSlot.Add(-slotsAhead), nil
	}

	return now.Add(minRoomWait), nil
}

// mostAhead returns how many targets of the mailing may be in unsent batches if no
// other mailing is running.
func (c *shardRun) mostAhead() int {
	perMinute := c.QuotaPerMinute
	if r := c.mailing.RateLimit(); r > 0 {
		perMinute = min(perMinute, r)
	}
	return perMinute * int(aheadTime/time.Minute)
}

// fairShare returns how many targets of the mailing may be in unsent batches beside
// the other mailings. A mailing with a rate has what its rate allows, which is
// little. The others that are still creating batches have equal shares. If the open
// batches of all mailings use everything up, because some were complete before others
// began, each may still have a quarter of its share, so that deliver has something of
// each to send.
func (c *shardRun) fairShare(ctx context.Context) (int, error) {
	most := c.mostAhead()
	if c.mailing.RateLimit() > 0 {
		return most, nil
	}
	all, err := c.ahead.readEstimate(ctx, c.Store, c.Now())
	if err != nil {
		return 0, err
	}
	share := most / max(1, all.Mailings)
	if all.Tokens >= most {
		share /= 4
	}
	return share, nil
}

// An aheadEstimate is the number of targets in unsent batches of all mailings, read
// at most a second ago, plus those that this instance has added since. It is safe for
// concurrent use.
type aheadEstimate struct {
	mu  sync.Mutex // guards all and at; held during a read, so that the other calls wait for it and read nothing
	all store.Ahead
	at  time.Time // zero: never read
}

// estimateAge is how old an estimate may be. To read it costs one read for each 1,000
// open batches, one for each 1,000 mailings that create batches, and one or two for
// each paused mailing.
const estimateAge = time.Second

// readEstimate returns the estimate, and reads it if it is older than estimateAge.
func (e *aheadEstimate) readEstimate(ctx context.Context, s dataStore, now time.Time) (store.Ahead, error) {
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

// addTargets counts targets that this instance has added.
func (e *aheadEstimate) addTargets(tokens int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all.Tokens += tokens
}

// chooseLane chooses the lane of the batches once the first page of the mailing is read.
// A mailing of one page, and a mailing whose rate is a small part of the quota, have
// few or small batches. They do not wait for those of large mailings.
func (c *shardRun) chooseLane() push.Lane {
	if c.onePage || c.mailing.RateLimit() > 0 && c.mailing.RateLimit() <= c.QuotaPerMinute/10 {
		return push.LaneSmall
	}
	return push.LaneLarge
}
