package store

import (
	"context"
	"encoding/json"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/shared/push"
)

// mailingDoc is mailings/{id}.
type mailingDoc struct {
	Draft  string `firestore:"message"` // the draft as JSON, without listed customers and tokens
	Listed int    `firestore:"listed"`  // documents of the audience below it
	Digest string `firestore:"digest"`

	CreatedBy string `firestore:"createdBy,omitempty"`

	State         string `firestore:"state"`
	PausedBecause string `firestore:"pausedBecause,omitempty"`
	PausedFrom    string `firestore:"pausedFrom,omitempty"`
	Refusal       string `firestore:"refusal,omitempty"`
	Proven        bool   `firestore:"proven"`

	CreatedAt   time.Time  `firestore:"createdAt"`
	StartAt     time.Time  `firestore:"startAt"`
	StartedAt   *time.Time `firestore:"startedAt"`
	CompletedAt *time.Time `firestore:"completedAt"`
	ExpiresAt   time.Time  `firestore:"expiresAt"`

	Selection  string     `firestore:"selection,omitempty"`
	Shards     int        `firestore:"shards"`
	Dispatched bool       `firestore:"dispatched"`
	Active     bool       `firestore:"active"`
	Totals     string     `firestore:"totals,omitempty"` // JSON
	ExpireAt   *time.Time `firestore:"expireAt,omitempty"`
}

func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func unstamp(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func encodeMailing(m *push.Mailing, listed int) (*mailingDoc, error) {
	d := m.Draft
	d.Audience.Customers, d.Audience.Tokens = nil, nil
	draft, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	doc := &mailingDoc{
		Draft: string(draft), Listed: listed, Digest: m.Digest, CreatedBy: string(m.CreatedBy),
		State: string(m.State), PausedBecause: m.PausedBecause, PausedFrom: string(m.PausedFrom),
		Refusal: m.Refusal, Proven: m.Proven,
		CreatedAt: m.CreatedAt, StartAt: m.StartAt, StartedAt: stamp(m.StartedAt),
		CompletedAt: stamp(m.CompletedAt), ExpiresAt: m.ExpiresAt,
		Selection: string(m.Selection), Shards: m.Shards, Dispatched: m.Dispatched, Active: m.Active,
	}
	if m.Totals != nil {
		totals, err := json.Marshal(m.Totals)
		if err != nil {
			return nil, err
		}
		doc.Totals = string(totals)
	}
	if !m.Active {
		doc.ExpireAt = stamp(m.CompletedAt.Add(keepMailings))
	}
	return doc, nil
}

func decodeMailing(snap *firestore.DocumentSnapshot) (m *push.Mailing, listed int, err error) {
	var doc mailingDoc
	if err := snap.DataTo(&doc); err != nil {
		return nil, 0, classify(err, "decoding mailing %s", snap.Ref.ID)
	}
	m = &push.Mailing{
		ID: snap.Ref.ID, Digest: doc.Digest, CreatedBy: push.Caller(doc.CreatedBy),
		State: push.State(doc.State), PausedBecause: doc.PausedBecause, PausedFrom: push.State(doc.PausedFrom),
		Refusal: doc.Refusal, Proven: doc.Proven,
		CreatedAt: doc.CreatedAt, StartAt: doc.StartAt, StartedAt: unstamp(doc.StartedAt),
		CompletedAt: unstamp(doc.CompletedAt), ExpiresAt: doc.ExpiresAt,
		Selection: push.Devices(doc.Selection), Shards: doc.Shards, Dispatched: doc.Dispatched, Active: doc.Active,
	}
	if err := json.Unmarshal([]byte(doc.Draft), &m.Draft); err != nil {
		return nil, 0, classify(err, "decoding the draft of mailing %s", m.ID)
	}
	if doc.Totals != "" {
		if err := json.Unmarshal([]byte(doc.Totals), &m.Totals); err != nil {
			return nil, 0, classify(err, "decoding the totals of mailing %s", m.ID)
		}
	}
	return m, doc.Listed, nil
}

// CreateMailing records m once. Where a mailing of that id is recorded already,
// it answers that one and false; a *push.Conflict when it came from another
// request.
func (s *Store) CreateMailing(ctx context.Context, m *push.Mailing) (*push.Mailing, bool, error) {
	lists := chunk(m)
	doc, err := encodeMailing(m, len(lists))
	if err != nil {
		return nil, false, classify(err, "encoding mailing %s", m.ID)
	}
	err = s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		for i, l := range lists {
			if err := tx.Create(s.listed(m.ID, i), l); err != nil {
				return err
			}
		}
		return tx.Create(s.mailing(m.ID), doc)
	})
	if status.Code(err) != codes.AlreadyExists {
		return m, err == nil, classify(err, "recording mailing %s", m.ID)
	}
	was, err := s.Mailing(ctx, m.ID)
	if err != nil {
		return nil, false, err
	}
	if was.Digest != m.Digest {
		return nil, false, &push.Conflict{Why: "this Idempotency-Key was used with another body"}
	}
	return was, false, nil
}

// Peek reads a mailing without the list of its audience: one document.
func (s *Store) Peek(ctx context.Context, id string) (*push.Mailing, error) {
	m, _, err := s.peek(ctx, id)
	return m, err
}

func (s *Store) peek(ctx context.Context, id string) (*push.Mailing, int, error) {
	if !validID(id) {
		return nil, 0, &push.NotFound{What: "mailing", ID: id}
	}
	snap, err := s.mailing(id).Get(ctx)
	if missing(err) {
		return nil, 0, &push.NotFound{What: "mailing", ID: id}
	}
	if err != nil {
		return nil, 0, classify(err, "reading mailing %s", id)
	}
	return decodeMailing(snap)
}

// validID keeps what is no document's name from reaching Firestore.
func validID(id string) bool {
	if id == "" || len(id) > 100 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}

// Mailing reads a mailing whole, with the customers or tokens it lists.
func (s *Store) Mailing(ctx context.Context, id string) (*push.Mailing, error) {
	m, listed, err := s.peek(ctx, id)
	if err != nil || listed == 0 {
		return m, err
	}
	return m, s.readLists(ctx, m, listed)
}

// Mailings lists mailings, the newest first, size a page; state "" lists all.
func (s *Store) Mailings(ctx context.Context, state push.State, size int, token string) ([]*push.Mailing, string, error) {
	q := s.db.Collection("mailings").OrderBy("createdAt", firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc).Limit(size + 1)
	if state != "" {
		q = q.Where("state", "==", string(state))
	}
	if token != "" {
		at, err := pageTime(token)
		if err != nil {
			return nil, "", err
		}
		q = q.StartAfter(at.created, at.id)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, "", classify(err, "listing mailings")
	}
	var out []*push.Mailing
	for i, snap := range snaps {
		if i == size {
			last := out[size-1]
			return out, pageToken(last), nil
		}
		m, _, err := decodeMailing(snap)
		if err != nil {
			return nil, "", err
		}
		out = append(out, m)
	}
	return out, "", nil
}

// change reads a mailing, lets f change it, and stores it, all in one
// transaction. When f answers an error nothing is written; with errKeep the
// mailing is answered beside it.
func (s *Store) change(ctx context.Context, id string, f func(*push.Mailing, *firestore.Transaction) error) (*push.Mailing, error) {
	if !validID(id) {
		return nil, &push.NotFound{What: "mailing", ID: id}
	}
	var m *push.Mailing
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.mailing(id))
		if missing(err) {
			return &push.NotFound{What: "mailing", ID: id}
		}
		if err != nil {
			return err
		}
		var listed int
		if m, listed, err = decodeMailing(snap); err != nil {
			return err
		}
		if err := f(m, tx); err != nil {
			return err
		}
		doc, err := encodeMailing(m, listed)
		if err != nil {
			return err
		}
		return tx.Set(s.mailing(id), doc)
	})
	return m, err
}
