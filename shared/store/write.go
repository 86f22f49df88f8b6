package store

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A writeID names one write. The documents that the write changes store it in
// their field "write". When the answer to a commit is lost, the client commits
// again and gets an error; the database then says whether the first commit was
// stored: the documents have the id of this write, or they do not.
type writeID string

// newWriteID makes an id that no other write has: 80 random bits, 16 bytes.
func newWriteID() writeID { return writeID(rand.Text()[:16]) }

// in reports whether a document was last changed by this write.
func (w writeID) in(snap *firestore.DocumentSnapshot) bool {
	id, err := snap.DataAt("write") // fails where there is no document or no such field
	return err == nil && id == string(w)
}

// update is the part of an update that stores the id.
func (w writeID) update() firestore.Update { return firestore.Update{Path: "write", Value: string(w)} }

// errStored is what f of transact answers when it reads the id of its own
// write: an earlier run was stored, and its results stand.
var errStored = errors.New("an earlier run of this transaction was stored")

// lostAnswers is how many answers in a row may be lost: the commit of the run
// that finds nothing left to do has one, too.
const lostAnswers = 2

// transact runs f as a transaction, as often as the client asks for it. When
// the answer to a commit is lost, the client commits the same transaction again
// and the server answers InvalidArgument, because the transaction has ended:
// "The referenced transaction has expired or is no longer valid." from the
// service, "Transaction is invalid or closed." from Google's emulator. The code
// does not say whether the first commit was stored, so f runs again: it reads
// the id of its own write and answers errStored, or it does its work. An
// argument that really is invalid is refused each time.
func (s *Store) transact(ctx context.Context, f func(context.Context, *firestore.Transaction) error, o ...firestore.TransactionOption) error {
	var err error
	for range lostAnswers + 1 {
		err = s.db.RunTransaction(ctx, f, o...)
		if status.Code(err) != codes.InvalidArgument {
			break
		}
	}
	if errors.Is(err, errStored) {
		return nil
	}
	return err
}

// mayBeStored reports whether a write with a precondition failed in a way in
// which it also fails when its first try was stored and the answer was lost.
func mayBeStored(err error) bool { return stale(err) || status.Code(err) == codes.Aborted }

// updateOnce changes a document if nobody has since a revision, and answers the
// new revision. An error for which IsConflict holds: somebody else has.
func (s *Store) updateOnce(ctx context.Context, ref *firestore.DocumentRef, revision time.Time, up ...firestore.Update) (time.Time, error) {
	w := newWriteID()
	res, err := ref.Update(ctx, append(up, w.update()), firestore.LastUpdateTime(revision))
	if err == nil {
		return res.UpdateTime, nil
	}
	if snap := w.stored(ctx, ref, err); snap != nil {
		return snap.UpdateTime, nil
	}
	return time.Time{}, err
}

// stored reads a document after a failed write, and answers it when the
// write was stored all the same, else nil.
func (w writeID) stored(ctx context.Context, ref *firestore.DocumentRef, err error) *firestore.DocumentSnapshot {
	if !mayBeStored(err) {
		return nil
	}
	snap, rerr := ref.Get(ctx)
	if rerr != nil || !w.in(snap) {
		return nil // the caller reports err
	}
	return snap
}
