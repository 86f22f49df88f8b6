package push

import "time"

// MaxTokens is how many tokens a customer keeps by default; one more pushes out
// an invalid one, or the one longest unseen.
const MaxTokens = 20

// A Registration is a push token that a customer's device reports.
type Registration struct {
	Kind     Kind
	Value    string
	Platform Platform
	App      string
	AddedAt  time.Time // imports only: when it was first registered; zero: now
}

// A DispatchOrder asks dispatch to start a mailing (Shard -1) or to go on with
// one of its shards.
type DispatchOrder struct {
	Mailing string `json:"mailing"`
	Shard   int    `json:"shard"`
}

// Start is the shard of an order that starts a mailing.
const Start = -1
