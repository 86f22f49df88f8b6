package chaos

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/shared/push"
)

// A customerView has the checked fields of GET /v1/customers/{customer}.
type customerView struct {
	PushAvailable bool `json:"pushAvailable"`
	Tokens        []struct {
		ID      string          `json:"id"`
		SeenAt  time.Time       `json:"seenAt"`
		Valid   bool            `json:"valid"`
		Invalid *push.TokenFlag `json:"invalid"`
	} `json:"tokens"`
}

// checkCustomer compares the API's answer for one customer with the model, with the
// results of all mailings, with Firestore and with the events.
func (x *checker) checkCustomer(ctx context.Context, c *client.Client, q *testCustomer, e *eventLog, stored map[string]storedCustomer) error {
	var s customerView
	err := callUntilAnswered(ctx, c, http.MethodGet, "/v1/customers/"+q.id, nil, &s)
	if _, erased := x.customers.erasuresSoFar()[q.id]; erased {
		_, isStored := stored[q.id]
		return x.checkErasedCustomer(q, err, e, isStored)
	}
	if err != nil {
		return fmt.Errorf("reading customer %s: %w", q.id, err)
	}

	have := map[string]*testToken{}
	for _, y := range q.tokens {
		have[push.TokenID(y.token)] = y
	}

	valid := false
	for _, t := range s.Tokens {
		y := have[t.ID]
		if y == nil {
			x.addFinding(brokenAvailability, "customer %s has token %s, which belongs to another customer or was deleted", q.id, t.ID)
			continue
		}
		delete(have, t.ID)
		valid = valid || t.Valid
		x.checkFlag(q, y, t.Valid, t.SeenAt)
		if t.Invalid != nil && !e.invalidated[invalidationKey{q.id, t.ID, t.Invalid.Mailing}] {
			x.addFinding(brokenEvents, "token.invalidated of token %s of customer %s in mailing %s", t.ID, q.id, t.Invalid.Mailing)
		}
	}

	for id := range have {
		x.addFinding(brokenAvailability, "customer %s does not have token %s, which was registered", q.id, id)
	}
	d := stored[q.id]
	if s.PushAvailable != valid || d.reachable != valid {
		x.addFinding(brokenAvailability, "customer %s: available is %t in the API and %t in Firestore, want %t", q.id, s.PushAvailable, d.reachable, valid)
	}
	if d.availability > q.importVersion {
		if available, ok := e.availability[availabilityKey{q.id, d.availability}]; !ok || available != valid {
			x.addFinding(brokenEvents, "customer.availability.changed of customer %s, version %d, want available %t (an event came: %t, available %t)", q.id, d.availability, valid, ok, available)
		}
	}

	return nil
}

// checkFlag checks that a token is flagged exactly when a batch that was created
// after the token's last registration found it invalid.
func (x *checker) checkFlag(q *testCustomer, y *testToken, valid bool, seen time.Time) {
	found, ok := x.foundInvalid[tokenKey{q.id, y.token}]
	late := ok && !seen.After(found.createdAt)
	undone := x.unflagged[tokenKey{q.id, y.token}]

	switch {
	case !valid && !late && undone:
		x.addFinding(brokenFlagged, "token %s of customer %s is flagged, but the flags of the mailing that found it invalid were taken back", push.TokenID(y.token), q.id)
	case !valid && !y.unregistered:
		x.addFinding(brokenFlagged, "a token of customer %s that is registered with FCM (%s) is flagged", q.id, push.TokenID(y.token))
	case !valid && !late:
		x.addFinding(brokenFlagged, "token %s of customer %s is flagged; it was seen %s, and the last batch that found it invalid was created %s", push.TokenID(y.token), q.id, formatTime(seen), formatTime(found.createdAt))
	case valid && late && !undone && !found.dropped && (!x.makesFCMUnreliable() || y.unregistered && y.unregisteredAt.Before(found.createdAt)):
		x.addFinding(brokenMissedFlags, "token %s of customer %s was found invalid in a batch of mailing %s created %s, was last seen %s, and has no flag", push.TokenID(y.token), q.id, found.mailing, formatTime(found.createdAt), formatTime(seen))
	}
}
