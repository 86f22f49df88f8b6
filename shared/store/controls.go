package store

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// controlsKept is how long the controls of a group count after FCM accepted one
// of them. Those of a small group may all be gone later.
const controlsKept = 8 * 24 * time.Hour

// A ControlToken is a push token that FCM accepted lately: while it accepts it still,
// what it says of other tokens of the same kind, platform and app is credible.
type ControlToken struct {
	Customer string // the customer's id
	Token    string // the push token: never logged
	Kind     push.Kind
}

// controlsDoc is controls/{group}. It has no token and no customer's id: a
// customer who was erased cannot be found through it.
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

// SaveControls records tokens that FCM accepted lately as the controls of a
// group. Whoever writes last wins: any of them will do.
func (s *Store) SaveControls(ctx context.Context, group string, list []ControlToken) error {
	doc := controlsDoc{Tokens: []controlDoc{}, ExpireAt: s.timestamp().Add(controlsKept)}
	for _, c := range list {
		doc.Tokens = append(doc.Tokens, controlDoc{Key: push.CustomerKey(c.Customer), Token: push.TokenID(c.Token)})
	}
	_, err := s.controls(group).Set(ctx, doc)
	return classify(err, "recording controls")
}

// Controls reads the controls of a group whose customers still have them, valid:
// one read, and one for each of them.
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
			continue // others may do
		}
		i := slices.IndexFunc(doc.Tokens, func(c controlDoc) bool { return c.Key == snap.Ref.ID })
		if t, ok := customer.Token(doc.Tokens[i].Token); ok && t.Valid() {
			out = append(out, ControlToken{Customer: customer.ID, Token: t.Value, Kind: t.Kind})
		}
	}
	return out, nil
}

// A Suspicion says what deliver thinks of the young installation ids of a group.
type Suspicion struct {
	At      time.Time `firestore:"suspectedAt"` // when a fault of an app's release was last suspected; zero: it is not
	Cleared time.Time `firestore:"clearedAt"`   // when FCM last accepted most of those that it had refused; zero: never
}

func (s *Store) suspicion(group string) *firestore.DocumentRef {
	return s.controls(group + "\x00suspicion")
}

// Suspicion reads what is suspected of a group; zero where nothing was recorded
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

// SaveSuspicion records what is suspected of a group. Whoever writes last wins.
func (s *Store) SaveSuspicion(ctx context.Context, group string, x Suspicion) error {
	_, err := s.suspicion(group).Set(ctx, map[string]any{
		"suspectedAt": x.At, "clearedAt": x.Cleared, "expireAt": s.timestamp().Add(controlsKept),
	})
	return classify(err, "recording a suspicion")
}
