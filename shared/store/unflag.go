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

// ErrUndecodable says that a document is not as this version writes it: nothing
// but a mend by hand makes it readable.
var ErrUndecodable = errors.New("the document cannot be decoded")

// IsUndecodable reports whether err is about a document alone.
func IsUndecodable(err error) bool { return errors.Is(err, ErrUndecodable) }

// unflagDoc is what a mailing's document has of its unflag.
type unflagDoc struct {
	State       string     `firestore:"state"`
	Unflagged   int64      `firestore:"unflagged"` // once completed
	StartedAt   time.Time  `firestore:"startedAt"`
	CompletedAt *time.Time `firestore:"completedAt"`
}

func encodeUnflag(u *push.Unflag) *unflagDoc {
	if u == nil {
		return nil
	}
	return &unflagDoc{string(u.State), u.Unflagged, u.StartedAt, u.CompletedAt}
}

func (d *unflagDoc) decode() *push.Unflag {
	if d == nil {
		return nil
	}
	return &push.Unflag{State: push.UnflagState(d.State), Unflagged: d.Unflagged, StartedAt: d.StartedAt, CompletedAt: d.CompletedAt}
}

// unflagMark is mailings/{id}/unflags/mark. It is there once the mailing's flags
// are being taken back, and Flag reads it in its transaction: what Flag sets it
// has set before, in a batch that the unflag still comes to.
type unflagMark struct {
	After string     `firestore:"after"`      // batches up to and including this one are done
	Owner string     `firestore:"owner"`      // the call that works on it
	Busy  *time.Time `firestore:"leaseUntil"` // until then
	Moved time.Time  `firestore:"moved"`      // when it last came further

	ExpireAt time.Time `firestore:"expireAt"`
}

// unflagCount is mailings/{id}/unflags/{any other id}: what one transaction took
// back, written by it. Their sum is the progress.
type unflagCount struct {
	Unflagged int64     `firestore:"unflagged"`
	ExpireAt  time.Time `firestore:"expireAt"`
}

const (
	// keepUnflags is how long the mark and the counts stay: longer than the
	// batches, so that no late message of one flags anew.
	keepUnflags = Keep + 10*24*time.Hour
	// unflagStalled is how long an unflag may not come further before whoever
	// looks after it asks for it again.
	unflagStalled = 2 * time.Minute
	// unflagBatches is how many batches the first page of an unflag reads; a batch
	// has up to 1,000 invalid tokens of up to 500 bytes. Later pages read more where
	// batches have few, and fewer where they have many: between few and many
	// tokens a page.
	unflagBatches, maxUnflagBatches = 16, 64
	few, many                       = 4_000, 20_000
)

func (s *Store) unflags(mailing string) *firestore.CollectionRef {
	return s.mailing(mailing).Collection("unflags")
}

func (s *Store) unflagging(mailing string) *firestore.DocumentRef {
	return s.unflags(mailing).Doc("mark")
}

// StartUnflag records that every flag a mailing set is to be taken back. From
// then on the mailing flags nothing. Where that is recorded already it changes
// nothing. It is a *push.Conflict for a mailing that has not started yet, and for one
// whose batches are deleted: nobody knows any more what it flagged.
func (s *Store) StartUnflag(ctx context.Context, id string) (*push.Mailing, error) {
	m, err := s.updateMailing(ctx, id, func(m *push.Mailing, tx *firestore.Transaction) error {
		switch now := s.timestamp(); {
		case m.Unflag != nil:
			return errUnchanged
		case m.StartedAt.IsZero() && m.State.Final(): // there is nothing to take back, and never will be
			m.Unflag = &push.Unflag{State: push.UnflagCompleted, StartedAt: now, CompletedAt: &now}
			return nil
		case m.StartedAt.IsZero():
			return &push.Conflict{Why: "mailing " + id + " has not started: it has marked no token"}
		case now.After(m.ExpiresAt.Add(Keep)):
			return &push.Conflict{Why: "mailing " + id + " ended more than 30 days ago: the list of what it marked has been deleted"}
		default:
			m.Unflag = &push.Unflag{State: push.UnflagRunning, StartedAt: now}
			return tx.Set(s.unflagging(id), unflagMark{Moved: now, ExpireAt: m.ExpiresAt.Add(keepUnflags)})
		}
	})
	if errors.Is(err, errUnchanged) {
		return m, nil
	}
	if err != nil {
		return nil, classifyLife(err, id)
	}
	return m, nil
}

// UnflagProgress is what an unflag has come to so far, nil where a mailing's
// flags were never taken back.
func (s *Store) UnflagProgress(ctx context.Context, m *push.Mailing) (*push.Unflag, error) {
	if m.Unflag == nil || m.Unflag.State == push.UnflagCompleted {
		return m.Unflag, nil
	}
	n, err := s.unflagged(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	u := *m.Unflag
	u.Unflagged = n
	return &u, nil
}

// unflagged adds up what the transactions of an unflag have taken back.
func (s *Store) unflagged(ctx context.Context, mailing string) (n int64, err error) {
	err = s.transact(ctx, func(ctx context.Context, tx *firestore.Transaction) error {
		sums, err := sum(ctx, tx, s.unflags(mailing).Query, "unflagged")
		if err == nil {
			n = sums[0]
		}
		return err
	}, firestore.ReadOnly)
	return n, classify(err, "adding up what was taken back of mailing %s", mailing)
}

// An UnflagLease is one call's work on an unflag.
type UnflagLease struct {
	Mailing string
	owner   string
	after   string // batches up to and including this one are done
	most    int    // batches that the next page reads
}

// LeaseUnflag gives an unflag to one call until then; nil: it is completed, or
// another call has it.
func (s *Store) LeaseUnflag(ctx context.Context, mailing string, until time.Time) (*UnflagLease, error) {
	m, err := s.MailingHeader(ctx, mailing)
	if err != nil || m.Unflag == nil || m.Unflag.State == push.UnflagCompleted {
		return nil, err
	}
	l := &UnflagLease{Mailing: mailing, owner: rand.Text(), most: unflagBatches}
	err = s.moveUnflag(ctx, l, func(mark *unflagMark) bool {
		if mark.Owner != l.owner && timeOrZero(mark.Busy).After(s.now()) {
			return false
		}
		l.after, mark.Owner, mark.Busy = mark.After, l.owner, timeOrNil(until)
		return true
	})
	if errors.Is(err, ErrConflict) {
		return nil, nil
	}
	return l, err
}

// SaveUnflag stores how far an unflag has come, and keeps it for the call until
// then; zero gives it back. ErrConflict: another call has it.
func (s *Store) SaveUnflag(ctx context.Context, l *UnflagLease, until time.Time) error {
	return s.moveUnflag(ctx, l, func(mark *unflagMark) bool {
		if mark.Owner != l.owner {
			return false
		}
		if mark.After != l.after {
			mark.After, mark.Moved = l.after, s.timestamp()
		}
		mark.Busy = timeOrNil(until)
		return true
	})
}

// moveUnflag changes an unflag's mark, ErrConflict where change says that it may
// not. A mark that is gone is passed over: its batches are, too.
func (s *Store) moveUnflag(ctx context.Context, l *UnflagLease, change func(*unflagMark) bool) error {
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.unflagging(l.Mailing))
		if missing(err) {
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
		return tx.Set(s.unflagging(l.Mailing), mark)
	})
	if errors.Is(err, ErrConflict) {
		return err
	}
	return classify(err, "going on to take back the flags of mailing %s", l.Mailing)
}

// CustomerTokens are tokens of one customer, by their ids.
type CustomerTokens struct {
	Customer string
	Tokens   []string
}

// UnflagPage is a part of what a mailing flagged.
type UnflagPage struct {
	Tokens []CustomerTokens // each customer once
	Faults []error          // batches that cannot be decoded
	Last   bool             // there is no page after it
	after  string
}

// UnflagPage reads what comes next. It stays next until Done says otherwise.
func (s *Store) UnflagPage(ctx context.Context, l *UnflagLease) (*UnflagPage, error) {
	batches, err := s.deadAfter(ctx, l.Mailing, l.after, l.most)
	if err != nil {
		return nil, err
	}

	p := &UnflagPage{after: l.after, Last: len(batches) < l.most}
	at, tokens := map[string]int{}, 0
	for _, b := range batches {
		p.after = b.batch
		if b.fault != nil {
			p.Faults = append(p.Faults, b.fault)
		}
		for _, d := range b.dead {
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
	if tokens < few {
		l.most = min(2*l.most, maxUnflagBatches)
	} else if tokens > many {
		l.most = max(l.most/2, 1)
	}
	return p, nil
}

// Done moves an unflag behind a page; SaveUnflag stores it.
func (l *UnflagLease) Done(p *UnflagPage) { l.after = p.after }

// UnflagTokens takes back the flags of a mailing on tokens of a few hundred customers
// in one transaction, in halves if that is too much or others stand in the way.
// It answers how many it has taken back, and the events, which are in the outbox
// until Told; both also beside an error. A customer whose document cannot be
// decoded keeps no other from it: then the error is ErrUndecodable, and all
// others are done.
func (s *Store) UnflagTokens(ctx context.Context, mailing string, tokens []CustomerTokens) (int, []push.Event, error) {
	n, events, err := s.unflag(ctx, mailing, tokens)
	if err == nil || len(tokens) == 1 || !divisible(err) {
		return n, events, err
	}

	half := len(tokens) / 2
	n1, events1, err1 := s.UnflagTokens(ctx, mailing, tokens[:half])
	n2, events2, err2 := s.UnflagTokens(ctx, mailing, tokens[half:])
	return n1 + n2, slices.Concat(events1, events2), worse(err1, err2)
}

// worse joins two errors, unless one of them is not about a document: what can
// be tried again comes first.
func worse(a, b error) error {
	if a != nil && !IsUndecodable(a) {
		return a
	}
	if b != nil && !IsUndecodable(b) {
		return b
	}
	return errors.Join(a, b)
}

// divisible reports whether less at once may succeed.
func divisible(err error) bool {
	code := status.Code(err)
	return IsUndecodable(err) || code == codes.Aborted || code == codes.InvalidArgument
}

// EndUnflag records that every flag of a mailing has been taken back.
func (s *Store) EndUnflag(ctx context.Context, mailing string) (*push.Unflag, error) {
	n, err := s.unflagged(ctx, mailing)
	if err != nil {
		return nil, err
	}
	m, err := s.transition(ctx, mailing, func(m *push.Mailing) error {
		if m.Unflag == nil || m.Unflag.State == push.UnflagCompleted {
			return errUnchanged
		}
		m.Unflag.State, m.Unflag.Unflagged, m.Unflag.CompletedAt = push.UnflagCompleted, n, timeOrNil(s.timestamp())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m.Unflag, nil
}

// StalledUnflags lists the mailings whose unflag has not come further for two
// minutes and is in no call's hands.
func (s *Store) StalledUnflags(ctx context.Context) ([]string, error) {
	snaps, err := s.db.Collection("mailings").Where("unflag.state", "==", string(push.UnflagRunning)).Select().Documents(ctx).GetAll()
	if err != nil {
		return nil, classify(err, "listing the mailings whose flags are being taken back")
	}
	refs := make([]*firestore.DocumentRef, len(snaps))
	for i, snap := range snaps {
		refs[i] = s.unflagging(snap.Ref.ID)
	}
	if len(refs) == 0 {
		return nil, nil
	}
	marks, err := s.db.GetAll(ctx, refs)
	if err != nil {
		return nil, classify(err, "looking after the unflags under way")
	}

	var out []string
	for _, snap := range marks {
		var mark unflagMark
		// One that is gone, or cannot be read, is due: its mailing shall not
		// run for ever.
		if !snap.Exists() || snap.DataTo(&mark) != nil || !timeOrZero(mark.Busy).After(s.now()) && s.now().Sub(mark.Moved) > unflagStalled {
			out = append(out, snap.Ref.Parent.Parent.ID)
		}
	}
	return out, nil
}
