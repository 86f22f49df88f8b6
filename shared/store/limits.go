package store

import (
	"time"

	"carillon.example/shared/push"
)

// usageDoc is a push.Usage in its customer's document, which a registration writes
// anyway.
type usageDoc struct {
	Hour         time.Time `firestore:"hour"`
	Day          time.Time `firestore:"day"`
	PerHour      int       `firestore:"perHour"`
	PerDay       int       `firestore:"perDay"`
	MovesPerHour int       `firestore:"movesPerHour"`
	MovesPerDay  int       `firestore:"movesPerDay"`
}

// encodeUsage returns the stored form of a usage, nil for the zero value.
func encodeUsage(u push.Usage) *usageDoc {
	if u == (push.Usage{}) {
		return nil
	}
	return &usageDoc{u.Hour, u.Day, u.PerHour, u.PerDay, u.MovesPerHour, u.MovesPerDay}
}

// decodeUsage is the reverse of encodeUsage.
func decodeUsage(d *usageDoc) push.Usage {
	if d == nil {
		return push.Usage{}
	}
	return push.Usage{Hour: d.Hour.UTC(), Day: d.Day.UTC(), PerHour: d.PerHour, PerDay: d.PerDay, MovesPerHour: d.MovesPerHour, MovesPerDay: d.MovesPerDay}
}

// checkLimits checks a registration by an app against its limits. Anybody who knows a push
// token could take it from its owner. So it moves only if its owner has not shown it for
// push.MoveWait, or if an app took it from e before: then e takes it back. The errors are *push.LimitReached and *push.Conflict.
func (b *customerTx) checkLimits(e *loadedCustomer, r push.Registration) error {
	owners, tokens := b.tokensOfPhone(e, r)
	id := push.TokenID(r.Value)
	if from := b.byID[b.ownerOf(id)]; from != nil {
		if t, ok := from.FindToken(id); ok {
			owners, tokens = append(owners, from), append(tokens, *t)
		}
	}

	moves := false
	for i, t := range tokens {
		if owners[i] == e {
			continue
		}
		moves = true
		if b.takenFromBefore[t.ID] == e.DocumentKey() {
			continue
		}
		if t.Valid() && b.now.Sub(t.SeenAt) < push.MoveWait {
			return &push.Conflict{Why: "this push token was shown for another customer lately: unregister it there, or try again in a day"}
		}
		b.takenFrom[id] = owners[i].DocumentKey()
	}

	return e.Usage.CountRegistration(b.now, moves, *r.Limits)
}
