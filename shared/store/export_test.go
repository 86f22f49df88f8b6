package store

import (
	"context"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// UnflagToken takes back one flag of a mailing.
func (s *Store) UnflagToken(ctx context.Context, mailing string, d push.InvalidToken) (bool, []push.Event, error) {
	n, events, err := s.unflagInTransaction(ctx, mailing, []CustomerTokens{{d.Customer, []string{d.TokenID}}})
	return n > 0, events, err
}

// Freeze freezes the totals of a mailing if nothing of it is left.
func (s *Store) Freeze(ctx context.Context, mailing string) (*push.Mailing, error) {
	return s.freezeTotals(ctx, &push.Mailing{ID: mailing, Dispatched: true})
}

// Classify gives an error of Firestore the type that says its outcome.
func Classify(err error) error { return classifyError(err, "testing") }

// CountCustomersInParts counts the customers of a range of keys as a large audience is
// counted.
func CountCustomersInParts(ctx context.Context, s *Store, after, upto string) (int, error) {
	return s.countInParts(ctx, s.customerCollection().Query, after, upto)
}

// DecodeCustomer returns the customer of a document.
func DecodeCustomer(snap *firestore.DocumentSnapshot) (*push.Customer, error) {
	return decodeCustomer(snap)
}

// LimitBuilding sets how many customers an audience reads at once to make rosters.
func LimitBuilding(a Audience, customers int) { a.(*rosterAudience).buildLimit = customers }
