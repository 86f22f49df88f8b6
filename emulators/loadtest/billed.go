package loadtest

import (
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/local"
)

// billed counts the operations that Google would bill. Only the embedded servers count
// them: the report leaves them out for an external server.
type billed struct {
	Firestore     *firestore.Usage `json:"firestore,omitempty"`
	PubSub        *published       `json:"pubsub,omitempty"`
	USDPerMillion float64          `json:"usd_per_million_tokens,omitempty"`
}

type published struct {
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

// usageOf returns the counts of the embedded servers so far.
func usageOf(l *local.Cloud) (b billed) {
	if l.Firestore != nil {
		u := l.Firestore.Usage()
		b.Firestore = &u
	}
	if l.PubSub != nil {
		u := l.PubSub.Usage()
		b.PubSub = &published{u.Messages, u.Bytes}
	}
	return b
}

// setUsage stores the difference of two counts, and the costs that follow from it.
func (m *Result) setUsage(before, after billed) {
	if after.Firestore != nil {
		m.Firestore = &firestore.Usage{
			Reads:   after.Firestore.Reads - before.Firestore.Reads,
			Writes:  after.Firestore.Writes - before.Firestore.Writes,
			Deletes: after.Firestore.Deletes - before.Firestore.Deletes,
		}
	}
	if after.PubSub != nil {
		m.PubSub = &published{after.PubSub.Messages - before.PubSub.Messages, after.PubSub.Bytes - before.PubSub.Bytes}
	}
	if m.Firestore != nil && m.PubSub != nil {
		m.USDPerMillion = m.costInDollars() / float64(m.Tokens) * 1e6
	}
}
