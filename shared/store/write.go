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

// A writeID identifies one write. Each document that the write changes stores the
// id in its field "write". When the answer to a commit is lost, the client commits
// again and gets an error. Reading the documents then shows whether the first
// commit was stored: they have the id of this write, or they do not.
type writeID string

// newWriteID makes a random id of 80 bits, as 16 bytes of text.
func newWriteID() writeID { return writeID(rand.Text()[:16]) }

// changedLast reports whether this write was the last to change a document.
func (w writeID) changedLast(snap *firestore.DocumentSnapshot) bool {
	id, err := snap.DataAt("write") // fails where there is no document or no such field
	return err == nil && id == string(w)
}

// fieldUpdate is the part of an update that stores the id.
func (w writeID) fieldUpdate() firestore.Update {
	return firestore.Update{Path: "write", Value: string(w)}
}

// errStored is returned by the function of runTransaction when it reads the id of its
// own write: an earlier run of it was stored, and its results are valid.
var errStored = errors.New("an earlier run of this transaction was stored")

// lostAnswers is how many answers in a row may be lost. The run that finds its
// work stored commits too, so its answer can be lost as well.
const lostAnswers = 2

// runTransaction runs f in a transaction. Firestore locks the documents that f reads, and
// the client runs f again after a conflict.
//
// When the answer to a commit is lost, the client commits the same transaction
// again and the server answers InvalidArgument, because the transaction has ended:
// "The referenced transaction has expired or is no longer valid." from the
// service, "Transaction is invalid or closed." from Google's emulator. The code
// does not say whether the first commit was stored. So f runs again: it reads the
// id of its own write and returns errStored, or it does its work. A request that is
// really invalid fails each time.
func (s *Store) runTransaction(ctx context.Context, f func(context.Context, *firestore.Transaction) error, o ...firestore.TransactionOption) error {
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

// mayBeStored reports whether err is one that a write with a precondition also gets
// when its first try was stored and the answer was lost.
func mayBeStored(err error) bool {
	return isPreconditionFailed(err) || status.Code(err) == codes.Aborted
}

// updateOnce changes a document if it has not changed since a revision, and returns
// the new revision. After classifyError, the error of a changed document is ErrConflict.
func (s *Store) updateOnce(ctx context.Context, ref *firestore.DocumentRef, revision time.Time, up ...firestore.Update) (time.Time, error) {
	w := newWriteID()

	res, err := ref.Update(ctx, append(up, w.fieldUpdate()), firestore.LastUpdateTime(revision))
	if err == nil {
		return res.UpdateTime, nil
	}
	if snap := w.readIfStored(ctx, ref, err); snap != nil {
		return snap.UpdateTime, nil
	}
	return time.Time{}, err
}

// readIfStored reads a document after a failed write. It returns the document if the write
// was stored after all, else nil.
func (w writeID) readIfStored(ctx context.Context, ref *firestore.DocumentRef, err error) *firestore.DocumentSnapshot {
	if !mayBeStored(err) {
		return nil
	}

	snap, rerr := ref.Get(ctx)
	if rerr != nil || !w.changedLast(snap) {
		return nil // the caller reports err
	}
	return snap
}
