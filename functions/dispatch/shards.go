package dispatch

import (
	"strings"
	"time"

	"carillon.example/shared/push"
)

const (
	shardSize = 25_000 // customers a shard is worth
	maxShards = 16
	shardRate = 60_000                             // messages a minute one shard can cut, also where Firestore takes 100 ms to answer
	digits    = "0123456789abcdefghijklmnopqrstuv" // of a key: base32hex
)

// shards cuts the keys into ranges of the same width: keys are hashes, so they
// hold about the same number of customers. A mailing with a rate has as few as
// can keep it, for each has an equal part of the rate; a listed audience is small.
// The caller publishes an order for each at now.
func shards(m *push.Mailing, customers int, now time.Time) []push.Shard {
	n := min(max(1, (customers+shardSize-1)/shardSize), maxShards)
	if r := m.Rate(); r > 0 {
		n = min(n, (r+shardRate-1)/shardRate)
	}
	if m.Audience.Customers != nil || m.Audience.Tokens != nil {
		n = 1
	}
	out := make([]push.Shard, n)
	for k := range out {
		out[k] = push.Shard{Mailing: m.ID, Number: k, From: bound(k, n), Upto: bound(k+1, n), PublishedAt: now}
		out[k].After = out[k].From
	}
	return out
}

// bound is the k-th of n+1 bounds that cut the keys evenly; "" at either end.
func bound(k, n int) string {
	if k == 0 || k == n {
		return ""
	}
	const width = len(digits) * len(digits)
	at := k * width / n
	return string([]byte{digits[at/len(digits)], digits[at%len(digits)]}) + strings.Repeat("0", 30)
}
