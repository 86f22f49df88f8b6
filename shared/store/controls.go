package store

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// controlsKept is how long control tokens are used after FCM accepted one of them.
// Those of a small group may all be gone later.
const controlsKept = 8 * 24 * time.Hour

// A ControlToken is a push token that FCM accepted lately. As long as FCM still accepts
// it, its answers for other tokens of the same kind, platform and app are believed.
type ControlToken struct {
	Customer string // the customer's id
	Token    string // the push token; it must not be logged
	Kind     push.Kind
}

// controlsDoc is controls/{group}. It holds hashes only, so that an erased customer
// cannot be found by it.
type controlsDoc struct {
	Tokens   []controlDoc `firestore:"tokens"`
	ExpireAt time.Time    `firestore:"expireAt"`
}

type controlDoc struct {
	Key   string `firestore:"key"`   // the name of the customer's document
	Token string `firestore:"token"` // the token's id
}

func (s *Store) controls(group string) *firestore.DocumentRef {
	return s.db.Collection("controls").Doc(push.TokenID(group))
}

// SaveControls stores tokens that FCM accepted lately as the control tokens of a
// group. The last write wins, because any of them is good enough.
func (s *Store) SaveControls(ctx context.Context, group string, list []ControlToken) error {
	doc := controlsDoc{Tokens: []controlDoc{}, ExpireAt: s.timestamp().Add(controlsKept)}
	for _, c := range list {
		doc.Tokens = append(doc.Tokens, controlDoc{Key: push.CustomerKey(c.Customer), Token: push.TokenID(c.Token)})
	}
	_, err := s.controls(group).Set(ctx, doc)
	return classify(err, "recording controls")
}

// Controls returns the control tokens of a group that are still valid and still
// belong to the same customers. It costs one read, and one more for each token.
func (s *Store) Controls(ctx context.Context, group string) ([]ControlToken, error) {
	snap, err := s.controls(group).Get(ctx)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classify(err, "reading controls")
	}
	var doc controlsDoc
	if err := snap.DataTo(&doc); err != nil {
		return nil, classify(err, "decoding the controls %s", snap.Ref.ID)
	}
	if !doc.ExpireAt.After(s.now()) {
		return nil, nil
	}

	var refs []*firestore.DocumentRef
	for _, c := range doc.Tokens {
		refs = append(refs, s.customers().Doc(c.Key))
	}
	snaps, err := s.db.GetAll(ctx, refs)
	if err != nil {
		return nil, classify(err, "reading the customers of controls")
	}
	var out []ControlToken
	for _, snap := range snaps {
		if !snap.Exists() {
			continue
		}
		customer, err := decodeCustomer(snap)
		if err != nil {
			continue // the other tokens may be good
		}
		i := slices.IndexFunc(doc.Tokens, func(c controlDoc) bool { return c.Key == snap.Ref.ID })
		if t, ok := customer.FindToken(doc.Tokens[i].Token); ok && t.Valid() {
			out = append(out, ControlToken{Customer: customer.ID, Token: t.Value, Kind: t.Kind})
		}
	}
	return out, nil
}

// A Suspicion says whether an app's release may be at fault for the invalid young
// installation ids of a group.
type Suspicion struct {
	At      time.Time `firestore:"suspectedAt"` // when it was last suspected; zero: it is not
	Cleared time.Time `firestore:"clearedAt"`   // when FCM last accepted most of the ids that it had refused; zero: never
}

func (s *Store) suspicion(group string) *firestore.DocumentRef {
	return s.controls(group + "\x00suspicion")
}

// Suspicion reads the suspicion about a group. It is the zero value if none was stored
// within eight days.
func (s *Store) Suspicion(ctx context.Context, group string) (Suspicion, error) {
	var out Suspicion
	snap, err := s.suspicion(group).Get(ctx)
	if missing(err) {
		return out, nil
	}
	if err != nil {
		return out, classify(err, "reading a suspicion")
	}
	return out, classify(snap.DataTo(&out), "decoding the suspicion %s", snap.Ref.ID)
}

// SaveSuspicion stores the suspicion about a group. The last write wins.
func (s *Store) SaveSuspicion(ctx context.Context, group string, x Suspicion) error {
	_, err := s.suspicion(group).Set(ctx, map[string]any{
		"suspectedAt": x.At, "clearedAt": x.Cleared, "expireAt": s.timestamp().Add(controlsKept),
	})
	return classify(err, "recording a suspicion")
}
