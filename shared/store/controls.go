package store

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// controlsKept is how long control tokens are used after FCM accepted one of them.
// After that time all tokens of a small group may have become invalid.
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

// controlDoc is one control token of a group.
type controlDoc struct {
	Key   string `firestore:"key"`   // the name of the customer's document
	Token string `firestore:"token"` // the token's id
}

func (s *Store) controlsDocument(group string) *firestore.DocumentRef {
	return s.db.Collection("controls").Doc(push.TokenID(group))
}

// SaveControls stores tokens that FCM accepted lately as the control tokens of a group,
// most of them at most, and keeps stored ones of other customers as far as there is room: a
// new instance knows fewer than are stored. It costs a read and a write. It needs no
// precondition: whichever write is the last one, its tokens were accepted.
func (s *Store) SaveControls(ctx context.Context, group string, list []ControlToken, most int) error {
	before, err := s.readControlsDoc(ctx, group)
	if err != nil {
		return err
	}

	doc := controlsDoc{Tokens: []controlDoc{}, ExpireAt: s.currentTimestamp().Add(controlsKept)}
	for _, c := range list {
		doc.Tokens = append(doc.Tokens, controlDoc{Key: push.CustomerKey(c.Customer), Token: push.TokenID(c.Token)})
	}
	for _, c := range before.Tokens {
		if !slices.ContainsFunc(doc.Tokens, func(x controlDoc) bool { return x.Key == c.Key }) {
			doc.Tokens = append(doc.Tokens, c)
		}
	}
	doc.Tokens = doc.Tokens[:min(len(doc.Tokens), most)]
	_, err = s.controlsDocument(group).Set(ctx, doc)
	return classifyError(err, "storing control tokens")
}

// ReadControls returns the control tokens of a group that are still valid and still
// belong to the same customers, and how many tokens are stored, usable or not. It costs one
// read, and one more for each token.
func (s *Store) ReadControls(ctx context.Context, group string) (usable []ControlToken, stored int, err error) {
	doc, err := s.readControlsDoc(ctx, group)
	if err != nil || len(doc.Tokens) == 0 {
		return nil, 0, err
	}

	var refs []*firestore.DocumentRef
	for _, c := range doc.Tokens {
		refs = append(refs, s.customerCollection().Doc(c.Key))
	}

	snaps, err := s.db.GetAll(ctx, refs)
	if err != nil {
		return nil, 0, classifyError(err, "reading the customers of control tokens")
	}

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
			usable = append(usable, ControlToken{Customer: customer.ID, Token: t.Value, Kind: t.Kind})
		}
	}

	return usable, len(doc.Tokens), nil
}

// readControlsDoc returns the stored control tokens of a group; none if they are too old.
func (s *Store) readControlsDoc(ctx context.Context, group string) (doc controlsDoc, err error) {
	snap, err := s.controlsDocument(group).Get(ctx)
	if isNotFound(err) {
		return controlsDoc{}, nil
	}
	if err != nil {
		return controlsDoc{}, classifyError(err, "reading control tokens")
	}
	if err := snap.DataTo(&doc); err != nil {
		return controlsDoc{}, classifyError(err, "decoding the control tokens %s", snap.Ref.ID)
	}
	if !doc.ExpireAt.After(s.now()) {
		return controlsDoc{}, nil
	}
	return doc, nil
}

// A Suspicion says whether an app's release may be at fault for the invalid young
// installation ids of a group.
type Suspicion struct {
	At      time.Time `firestore:"suspectedAt"` // when it was last suspected; zero: it is not
	Cleared time.Time `firestore:"clearedAt"`   // when FCM last accepted most of the ids that it had refused; zero: never
}

func (s *Store) suspicionDocument(group string) *firestore.DocumentRef {
	return s.controlsDocument(group + "\x00suspicion")
}

// ReadSuspicion reads the suspicion about a group. It is the zero value if none was stored
// within eight days.
func (s *Store) ReadSuspicion(ctx context.Context, group string) (Suspicion, error) {
	var out Suspicion
	snap, err := s.suspicionDocument(group).Get(ctx)
	if isNotFound(err) {
		return out, nil
	}
	if err != nil {
		return out, classifyError(err, "reading a suspicion")
	}
	return out, classifyError(snap.DataTo(&out), "decoding the suspicion %s", snap.Ref.ID)
}

// SaveSuspicion stores the suspicion about a group. It needs no precondition: a call that finds
// the same again stores it again.
func (s *Store) SaveSuspicion(ctx context.Context, group string, x Suspicion) error {
	_, err := s.suspicionDocument(group).Set(ctx, map[string]any{
		"suspectedAt": x.At, "clearedAt": x.Cleared, "expireAt": s.currentTimestamp().Add(controlsKept),
	})
	return classifyError(err, "storing a suspicion")
}
