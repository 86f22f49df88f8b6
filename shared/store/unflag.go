package store

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/shared/push"
)

// ErrUndecodable says that a document does not have the form that this version writes. Trying
// again does not help.
var ErrUndecodable = errors.New("the document cannot be decoded")

// IsUndecodable reports whether err is ErrUndecodable.
func IsUndecodable(err error) bool { return errors.Is(err, ErrUndecodable) }

// unflagDoc is the part of a mailing's document about its unflag.
type unflagDoc struct {
	State       string     `firestore:"state"`
	Unflagged   int64      `firestore:"unflagged"` // number of flags; set once completed
	StartedAt   time.Time  `firestore:"startedAt"`
	CompletedAt *time.Time `firestore:"completedAt"`
}

// encodeUnflag returns the stored form of an unflag, nil for none.
func encodeUnflag(u *push.Unflag) *unflagDoc {
	if u == nil {
		return nil
	}
	return &unflagDoc{string(u.State), u.Unflagged, u.StartedAt, u.CompletedAt}
}

// decodeUnflag is the reverse of encodeUnflag.
func (d *unflagDoc) decodeUnflag() *push.Unflag {
	if d == nil {
		return nil
	}
	return &push.Unflag{State: push.UnflagState(d.State), Unflagged: d.Unflagged, StartedAt: d.StartedAt, CompletedAt: d.CompletedAt}
}

// unflagMark is mailings/{id}/unflags/mark: the progress of an unflag. It exists once the
// unflag has begun. FlagToken reads it in its transaction, so that a flag is set either
// before the mark, in a batch that the unflag still reaches, or not at all.
type unflagMark struct {
	After      string     `firestore:"after"`      // cursor: batches up to and including this one are done
	Owner      string     `firestore:"owner"`      // the call that has leased it
	LeaseUntil *time.Time `firestore:"leaseUntil"` // the end of the lease
	Moved      time.Time  `firestore:"moved"`      // when it last made progress

	ExpireAt time.Time `firestore:"expireAt"`
}

// unflagCount is mailings/{id}/unflags/{another id}: how many flags one transaction removed,
// written by that transaction. Their sum is the progress.
type unflagCount struct {
	Unflagged int64     `firestore:"unflagged"`
	ExpireAt  time.Time `firestore:"expireAt"`
}

const (
	// keepUnflags is how long the mark and the counts stay: longer than the batches, so
	// that no late message of a batch flags again.
	keepUnflags = KeepBatches + 10*24*time.Hour
	// unflagStalled is how long an unflag may make no progress before tick publishes a
	// message for it again.
	unflagStalled = 2 * time.Minute
	// unflagBatches is how many batches the first page of an unflag reads; a batch
	// has up to 1,000 invalid tokens of up to 500 bytes. Later pages read more where
	// batches have few, and fewer where they have many: between few and many
	// tokens a page.
	unflagBatches, maxUnflagBatches = 16, 64
	fewTokens, manyTokens           = 4_000, 20_000
)

func (s *Store) unflagCollection(mailing string) *firestore.CollectionRef {
	return s.mailingDocument(mailing).Collection("unflags")
}

func (s *Store) unflagMarkDocument(mailing string) *firestore.DocumentRef {
	return s.unflagCollection(mailing).Doc("mark")
}

// StartUnflag records that all flags of a mailing are to be removed. From then on the mailing
// sets no flag. A second call changes nothing. It returns *push.Conflict for a mailing that
// has not started, and for one whose batches are deleted, because the flags that it set
// are unknown then.
func (s *Store) StartUnflag(ctx context.Context, id string) (*push.Mailing, error) {
	m, err := s.updateMailing(ctx, id, func(m *push.Mailing, tx *firestore.Transaction) error {
		switch now := s.currentTimestamp(); {
		case m.Unflag != nil:
			return errUnchanged
		case m.StartedAt.IsZero() && m.State.Final(): // it never sent, so it has no flags
			m.Unflag = &push.Unflag{State: push.UnflagCompleted, StartedAt: now, CompletedAt: &now}
			return nil
		case m.StartedAt.IsZero():
			return &push.Conflict{Why: "mailing " + id + " has not started: it has flagged no token"}
		case now.After(m.ExpiresAt.Add(KeepBatches)):
			return &push.Conflict{Why: "the lifetime of mailing " + id + " ended more than 30 days ago: the list of its flags has been deleted"}
		default:
			m.Unflag = &push.Unflag{State: push.UnflagRunning, StartedAt: now}
			return tx.Set(s.unflagMarkDocument(id), unflagMark{Moved: now, ExpireAt: m.ExpiresAt.Add(keepUnflags)})
		}
	})
	if errors.Is(err, errUnchanged) {
		return m, nil
	}
	if err != nil {
		return nil, classifyStateError(err, id)
	}

	return m, nil
}

// ReadUnflagProgress returns the progress of an unflag, nil for a mailing without one.
func (s *Store) ReadUnflagProgress(ctx context.Context, m *push.Mailing) (*push.Unflag, error) {
	if m.Unflag == nil || m.Unflag.State == push.UnflagCompleted {
		return m.Unflag, nil
	}
	n, err := s.countUnflagged(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	u := *m.Unflag
	u.Unflagged = n
	return &u, nil
}

// countUnflagged returns how many flags the transactions of an unflag have removed.
func (s *Store) countUnflagged(ctx context.Context, mailing string) (n int64, err error) {
	err = s.runTransaction(ctx, func(ctx context.Context, tx *firestore.Transaction) error {
		sums, err := sumFields(ctx, tx, s.unflagCollection(mailing).Query, "unflagged")
		if err == nil {
			n = sums[0]
		}
		return err
	}, firestore.ReadOnly)
	return n, classifyError(err, "counting the removed flags of mailing %s", mailing)
}

// An UnflagLease is one call's lease of an unflag, and its cursor.
type UnflagLease struct {
	Mailing     string
	owner       string
	after       string // batches up to and including this one are done
	pageBatches int    // batches that the next page reads
}

// LeaseUnflag leases an unflag until a time. It returns nil if the unflag is completed or
// another call has the lease.
func (s *Store) LeaseUnflag(ctx context.Context, mailing string, until time.Time) (*UnflagLease, error) {
	m, err := s.ReadMailingHeader(ctx, mailing)
	if err != nil || m.Unflag == nil || m.Unflag.State == push.UnflagCompleted {
		return nil, err
	}

	l := &UnflagLease{Mailing: mailing, owner: rand.Text(), pageBatches: unflagBatches}
	err = s.updateUnflagMark(ctx, l, func(mark *unflagMark) bool {
		if mark.Owner != l.owner && timeOrZero(mark.LeaseUntil).After(s.now()) {
			return false
		}
		l.after, mark.Owner, mark.LeaseUntil = mark.After, l.owner, timeOrNil(until)
		return true
	})
	if errors.Is(err, ErrConflict) {
		return nil, nil
	}

	return l, err
}

// SaveUnflagCursor stores the cursor of an unflag and extends the lease; a zero time releases it.
// ErrConflict: another call has the lease.
func (s *Store) SaveUnflagCursor(ctx context.Context, l *UnflagLease, until time.Time) error {
	return s.updateUnflagMark(ctx, l, func(mark *unflagMark) bool {
		if mark.Owner != l.owner {
			return false
		}
		if mark.After != l.after {
			mark.After, mark.Moved = l.after, s.currentTimestamp()
		}
		mark.LeaseUntil = timeOrNil(until)
		return true
	})
}

// updateUnflagMark changes the mark of an unflag. It returns ErrConflict if change reports that it
// may not. The transaction reads the mark again, so that of two calls only the one with the
// lease moves the cursor. A deleted mark is not an error: its batches are deleted as well.
func (s *Store) updateUnflagMark(ctx context.Context, l *UnflagLease, change func(*unflagMark) bool) error {
	err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.unflagMarkDocument(l.Mailing))
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		var mark unflagMark
		if err := snap.DataTo(&mark); err != nil {
			return err
		}
		if !change(&mark) {
			return ErrConflict
		}
		return tx.Set(s.unflagMarkDocument(l.Mailing), mark)
	})
	if errors.Is(err, ErrConflict) {
		return err
	}

	return classifyError(err, "storing the progress of the unflag of mailing %s", l.Mailing)
}

// CustomerTokens are tokens of one customer, by their ids.
type CustomerTokens struct {
	Customer string
	Tokens   []string
}

// UnflagPage is a part of the tokens that a mailing flagged.
type UnflagPage struct {
	Tokens []CustomerTokens // each customer once
	Faults []error          // batches that cannot be decoded
	Last   bool             // this is the last page
	after  string
}

// ReadUnflagPage reads the next page. It stays the next one until FinishPage.
func (s *Store) ReadUnflagPage(ctx context.Context, l *UnflagLease) (*UnflagPage, error) {
	batches, err := s.invalidTokensAfter(ctx, l.Mailing, l.after, l.pageBatches)
	if err != nil {
		return nil, err
	}

	p := &UnflagPage{after: l.after, Last: len(batches) < l.pageBatches}
	at, tokens := map[string]int{}, 0
	for _, b := range batches {
		p.after = b.batch
		if b.err != nil {
			p.Faults = append(p.Faults, b.err)
		}
		for _, d := range b.tokens {
			i, known := at[d.Customer]
			if !known {
				i = len(p.Tokens)
				at[d.Customer] = i
				p.Tokens = append(p.Tokens, CustomerTokens{Customer: d.Customer})
			}
			p.Tokens[i].Tokens = append(p.Tokens[i].Tokens, d.TokenID)
			tokens++
		}
	}

	if tokens < fewTokens {
		l.pageBatches = min(2*l.pageBatches, maxUnflagBatches)
	} else if tokens > manyTokens {
		l.pageBatches = max(l.pageBatches/2, 1)
	}
	return p, nil
}

// FinishPage moves the cursor of an unflag after a page; SaveUnflagCursor stores it.
func (l *UnflagLease) FinishPage(p *UnflagPage) { l.after = p.after }

// UnflagTokens removes the flags of a mailing on tokens of a few hundred customers in one
// transaction, or in two halves if that is too large or conflicts with other writes. It
// returns how many it removed, and the events, which are in the outbox until
// MarkEventsPublished; it returns both together with an error. A customer whose document cannot be
// decoded does not affect the others: the error is ErrUndecodable then, and all others are
// done.
func (s *Store) UnflagTokens(ctx context.Context, mailing string, tokens []CustomerTokens) (int, []push.Event, error) {
	n, events, err := s.unflagInTransaction(ctx, mailing, tokens)
	if err == nil || len(tokens) == 1 || !canSplit(err) {
		return n, events, err
	}

	half := len(tokens) / 2
	n1, events1, err1 := s.UnflagTokens(ctx, mailing, tokens[:half])
	n2, events2, err2 := s.UnflagTokens(ctx, mailing, tokens[half:])
	return n1 + n2, slices.Concat(events1, events2), joinFaults(err1, err2)
}

// joinFaults joins two errors. If one of them is not about a document, it returns that one:
// the caller can try again.
func joinFaults(a, b error) error {
	if a != nil && !IsUndecodable(a) {
		return a
	}
	if b != nil && !IsUndecodable(b) {
		return b
	}
	return errors.Join(a, b)
}

// canSplit reports whether a smaller transaction may succeed.
func canSplit(err error) bool {
	code := status.Code(err)
	return IsUndecodable(err) || code == codes.Aborted || code == codes.InvalidArgument
}

// EndUnflag records that all flags of a mailing are removed.
func (s *Store) EndUnflag(ctx context.Context, mailing string) (*push.Unflag, error) {
	n, err := s.countUnflagged(ctx, mailing)
	if err != nil {
		return nil, err
	}

	m, err := s.changeState(ctx, mailing, func(m *push.Mailing) error {
		if m.Unflag == nil || m.Unflag.State == push.UnflagCompleted {
			return errUnchanged
		}
		m.Unflag.State, m.Unflag.Unflagged, m.Unflag.CompletedAt = push.UnflagCompleted, n, timeOrNil(s.currentTimestamp())
		return nil
	})
	if err != nil {
		return nil, err
	}

	return m.Unflag, nil
}

// ListStalledUnflags lists the mailings whose unflag has made no progress for two minutes and is
// not leased.
func (s *Store) ListStalledUnflags(ctx context.Context) ([]string, error) {
	snaps, err := s.db.Collection("mailings").Where("unflag.state", "==", string(push.UnflagRunning)).Select().Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "listing the running unflags")
	}

	refs := make([]*firestore.DocumentRef, len(snaps))
	for i, snap := range snaps {
		refs[i] = s.unflagMarkDocument(snap.Ref.ID)
	}

	if len(refs) == 0 {
		return nil, nil
	}
	marks, err := s.db.GetAll(ctx, refs)
	if err != nil {
		return nil, classifyError(err, "reading the marks of the running unflags")
	}

	var out []string
	for _, snap := range marks {
		var mark unflagMark
		// A mark that is deleted or cannot be decoded counts as stalled, so that the
		// unflag does not run forever.
		if !snap.Exists() || snap.DataTo(&mark) != nil || !timeOrZero(mark.LeaseUntil).After(s.now()) && s.now().Sub(mark.Moved) > unflagStalled {
			out = append(out, snap.Ref.Parent.Parent.ID)
		}
	}

	return out, nil
}
