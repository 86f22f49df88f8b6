// Package store reads and writes Firestore. No other package uses Firestore.
// Each method is one step of a mailing, a customer or a token. It stores the whole
// step or nothing.
//
// Two calls may do the same step at the same time. So every write that depends on a
// read is in a transaction, or has the revision of the read as its precondition.
//
//	customers/{key of the customer's id}       a customer with all tokens
//	rosters/{first two digits of the key}      a packed copy of the customers with these keys
//	tokens/{token id}                          the customer who has the token
//	mailings/{id}                              a mailing and its state
//	mailings/{id}/audience/{n}                 listed customers or tokens
//	mailings/{id}/audience/owners              the customers who had the listed tokens when the mailing started
//	mailings/{id}/shards/{k}                   a range of the audience: cursor, counts
//	mailings/{id}/batches/{id}                 targets, lease, results, tally
//	messages/{id}                              a message to one customer, and what became of it
//	reports/{hash of mailing and token}        what the phone of a target reported
//	objections/{key of the customer's id}      an opt-out that stays when its customer is erased
//	erasures/{key of the customer's id}        an erased customer whose traces are still to be removed
//	outbox/{event id}                          an event that is not published yet
//	instances/{id}                             how much of the quota an instance of deliver needs
//	firebaseProjects/{project}/instances/{id}  the same of the quota of another project than the default one
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

// KeepBatches is how long batches and shards stay after their mailing has ended: so long
// its invalid tokens can be listed and unflagged. TTL deletes them then.
const KeepBatches = 30 * 24 * time.Hour

// keepMailings is how long the mailing itself stays after it ended.
const keepMailings = 400 * 24 * time.Hour

// keepTexts is how long a mailing to one customer stays after it ended. TTL may
// take another day to delete it, which makes 30 days.
const keepTexts = 29 * 24 * time.Hour

// Options configure a Store; the zero value is the default.
type Options struct {
	Now       func() time.Time // nil: time.Now
	MaxTokens int              // tokens a customer keeps; 0: push.MaxTokens
	TokenLife time.Duration    // Android tokens unseen this long expire; 0: 270 days, as FCM does

	// RostersFrom is from how many customers on audiences are read from rosters; 0: never.
	RostersFrom int
	// RosterSlack is how much earlier than its commit the time of a customer's last change may
	// be by the clock of the database; 0: a minute.
	RosterSlack time.Duration
}

// A Store is Firestore as Carillon uses it; safe for concurrent use.
type Store struct {
	db        *firestore.Client
	now       func() time.Time
	maxTokens int
	tokenLife time.Duration
	rosters   int           // see Options.RostersFrom
	slack     time.Duration // see Options.RosterSlack
	sizeCache sizeCache
	subjects  subjectCache
}

// New makes a store that uses a client. The caller closes the client.
func New(db *firestore.Client, o Options) *Store {
	s := &Store{
		db: db, now: o.Now,
		maxTokens: cmp.Or(o.MaxTokens, push.MaxTokens),
		tokenLife: cmp.Or(o.TokenLife, push.TokenLife),
		rosters:   o.RostersFrom, slack: cmp.Or(o.RosterSlack, time.Minute),
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

func (s *Store) mailingDocument(id string) *firestore.DocumentRef { return s.db.Doc("mailings/" + id) }

// ErrConflict says that a document has changed since it was read. Nothing was
// written.
var ErrConflict = errors.New("the document has changed since it was read")

// IsRevisionConflict reports whether err is ErrConflict: the document has changed since it was
// read. For a state that does not allow a change see push.IsStateConflict.
func IsRevisionConflict(err error) bool { return errors.Is(err, ErrConflict) }

// classifyError gives a Firestore error the type that callers decide by: ErrConflict,
// *push.Unavailable, or none. The text says what the store was doing, to which id.
func classifyError(err error, doing string, a ...any) error {
	if err == nil {
		return nil
	}

	text := fmt.Sprintf(doing, a...)
	if isPreconditionFailed(err) {
		return fmt.Errorf("%s: %w: %w", text, ErrConflict, err)
	}

	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.DeadlineExceeded:
		return &push.Unavailable{Err: fmt.Errorf("%s: %w", text, err)}
	}

	return fmt.Errorf("%s: %w", text, err)
}

// isPreconditionFailed reports whether a precondition of a write did not hold. The
// service uses the same code for a query whose index is missing; the text of that
// error begins with fixed words, before any name of a project or document.
func isPreconditionFailed(err error) bool {
	switch status.Code(err) {
	case codes.AlreadyExists:
		return true
	case codes.FailedPrecondition:
		var answer interface{ GRPCStatus() *status.Status }
		return errors.As(err, &answer) && !strings.HasPrefix(answer.GRPCStatus().Message(), "The query requires ")
	}
	return false
}

// isNotFound reports whether a document does not exist.
func isNotFound(err error) bool { return status.Code(err) == codes.NotFound }
