// Package store keeps what Carillon knows in Firestore, and is the only package
// that knows Firestore. Its methods are the steps of a mailing's way; each
// commits all of its step or nothing.
//
//	customers/{key of the customer's id}       a customer with all devices
//	tokens/{token id}                          whose token that is
//	mailings/{id}                              a mailing and its state
//	mailings/{id}/audience/{n}                 listed customers or tokens
//	mailings/{id}/audience/owners              who had the listed tokens at the start
//	mailings/{id}/shards/{k}                   a range of the audience: cursor, counts
//	mailings/{id}/batches/{id}                 targets, lease, results, tally
//	objections/{key of the customer's id}      an opt-out that outlives its customer
//	erasures/{key of the customer's id}        traces of an erased customer still to be removed
//	outbox/{event id}                          an event not published yet
//	instances/{id}                             what an instance of deliver wants of the quota
//	settings/push                              device selection, muted customers
package store

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/shared/push"
)

// Keep is how long a mailing's list of invalid tokens and unflag answer after
// it ended; then its batches and shards go by TTL.
const Keep = 30 * 24 * time.Hour

// keepMailings is how long the mailing itself stays after it ended.
const keepMailings = 400 * 24 * time.Hour

// keepTexts is how long a mailing to one customer stays after it ended: 30 days
// with the day that TTL takes.
const keepTexts = 29 * 24 * time.Hour

// Options are what a Store can be told; the zero value is the default.
type Options struct {
	Now       func() time.Time // nil: time.Now
	MaxTokens int              // tokens a customer keeps; 0: push.MaxTokens
	TokenLife time.Duration    // Android tokens unseen this long expire; 0: 270 days, as FCM does
}

// A Store is Firestore as Carillon uses it; safe for concurrent use.
type Store struct {
	db        *firestore.Client
	now       func() time.Time
	maxTokens int
	tokenLife time.Duration
	sizes     sizes
}

// New makes a store over a client, which stays the caller's to close.
func New(db *firestore.Client, o Options) *Store {
	s := &Store{
		db: db, now: o.Now,
		maxTokens: cmp.Or(o.MaxTokens, push.MaxTokens),
		tokenLife: cmp.Or(o.TokenLife, push.TokenLife),
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

func (s *Store) mailing(id string) *firestore.DocumentRef { return s.db.Doc("mailings/" + id) }

// ErrConflict is the answer to a save based on an older revision: somebody else
// has written since, and has the right to.
var ErrConflict = errors.New("somebody else has written since")

// IsConflict reports whether a save failed because somebody else has written.
func IsConflict(err error) bool { return errors.Is(err, ErrConflict) }

// classify gives a Firestore error the type that says its outcome, and says
// what was being done.
func classify(err error, doing string, a ...any) error {
	if err == nil {
		return nil
	}
	text := fmt.Sprintf(doing, a...)
	if stale(err) {
		return fmt.Errorf("%s: %w: %w", text, ErrConflict, err)
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.DeadlineExceeded:
		return &push.Unavailable{Err: fmt.Errorf("%s: %w", text, err)}
	}
	return fmt.Errorf("%s: %w", text, err)
}

// stale reports whether a precondition did not hold. The service answers with
// the same code when it wants an index that firestore.indexes.json lacks; that
// text begins like this, and names of projects and documents follow only later.
func stale(err error) bool {
	switch status.Code(err) {
	case codes.AlreadyExists:
		return true
	case codes.FailedPrecondition:
		var answer interface{ GRPCStatus() *status.Status }
		return errors.As(err, &answer) && !strings.HasPrefix(answer.GRPCStatus().Message(), "The query requires ")
	}
	return false
}

func missing(err error) bool { return status.Code(err) == codes.NotFound }
