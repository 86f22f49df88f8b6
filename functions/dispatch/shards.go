package dispatch

import (
	"time"

	"carillon.example/shared/push"
)

const (
	shardSize = 25_000 // customers that make another shard worthwhile
	maxShards = 16
	shardRate = 60_000 // messages a minute that one shard can put into batches, even if Firestore takes 100 ms to answer
)

// newShards divides the keys into ranges of the same width. Keys are hashes, so each
// range has about the same number of customers. A mailing with a rate has as few
// shards as can keep the rate, because each has an equal part of it. A listed
// audience is small. The caller publishes a message for each shard at now.
func newShards(m *push.Mailing, customers int, now time.Time) []push.Shard {
	n := min(max(1, (customers+shardSize-1)/shardSize), maxShards)
	if r := m.RateLimit(); r > 0 {
		n = min(n, (r+shardRate-1)/shardRate)
	}
	if m.Audience.Customers != nil || m.Audience.Tokens != nil {
		n = 1
	}

	out := make([]push.Shard, n)
	for k := range out {
		out[k] = push.Shard{Mailing: m.ID, Number: k, From: shardBound(k, n), Upto: shardBound(k+1, n), PublishedAt: now}
		out[k].Estimated = int64(customers*(k+1)/n - customers*k/n)
		out[k].After = out[k].From
	}

	return out
}

// shardBound returns the k-th of n+1 bounds that divide the keys evenly; "" at either
// end. It is the last key with some first two digits, so that no roster belongs to two shards.
func shardBound(k, n int) string {
	if k == 0 || k == n {
		return ""
	}
	return push.LastKeyWith(push.KeyPrefix(k*push.KeyPrefixes/n - 1))
}
