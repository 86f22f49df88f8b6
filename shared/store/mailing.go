package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/shared/push"
)

// mailingDoc is mailings/{id}.
type mailingDoc struct {
	Draft  string `firestore:"draft"` // the draft as JSON, without listed customers and tokens
	Write  string `firestore:"write"` // the writeID of the last change
	Digest string `firestore:"digest"`

	// Fields of the draft that lists show or filter by: lists do not read the draft.
	Name   string     `firestore:"name,omitempty"`
	Tags   []string   `firestore:"tags,omitempty"`
	Title  string     `firestore:"title,omitempty"`
	SendAt *time.Time `firestore:"sendAt,omitempty"`
	DryRun bool       `firestore:"dryRun,omitempty"`

	Listed  int    `firestore:"listed"`            // number of documents audience/{n}
	ListOf  string `firestore:"listOf,omitempty"`  // what these list: customers or tokens
	Entries int    `firestore:"entries,omitempty"` // how many customers or tokens they list

	CreatedBy string `firestore:"createdBy,omitempty"`
	Label     string `firestore:"label,omitempty"`     // FCM's analytics label
	Recipient string `firestore:"recipient,omitempty"` // key or token id, where one customer or token is listed; an erasure finds the mailing by it

	State           string          `firestore:"state"`
	PausedReason    string          `firestore:"pausedReason,omitempty"`
	PausedDetail    string          `firestore:"pausedDetail,omitempty"`
	PausedProject   string          `firestore:"pausedProject,omitempty"`
	PausedFrom      string          `firestore:"pausedFrom,omitempty"`
	PausedPlatforms []push.Platform `firestore:"pausedPlatforms,omitempty"`
	Pauses          []pauseDoc      `firestore:"pauses,omitempty"`
	Refusal         string          `firestore:"refusal,omitempty"`
	Proven          bool            `firestore:"proven"`

	CreatedAt   time.Time  `firestore:"createdAt"`
	StartAt     time.Time  `firestore:"startAt"`
	StartedAt   *time.Time `firestore:"startedAt"`
	CompletedAt *time.Time `firestore:"completedAt"`
	ExpiresAt   time.Time  `firestore:"expiresAt"`

	Selection    string     `firestore:"selection,omitempty"`
	Hours        string     `firestore:"hours,omitempty"`     // JSON: the window in force
	Rate         int        `firestore:"rate,omitempty"`      // of the draft, for tick
	NextSlot     *time.Time `firestore:"nextSlot,omitempty"`  // with both
	Estimated    int64      `firestore:"estimated,omitempty"` // customers of the audience when it started
	Shards       int        `firestore:"shards"`
	Dispatched   bool       `firestore:"dispatched"`
	Active       bool       `firestore:"active"`
	Creating     string     `firestore:"creating,omitempty"` // see creatingValue
	ResumedAt    *time.Time `firestore:"resumedAt,omitempty"`
	PublishedAt  *time.Time `firestore:"publishedAt,omitempty"` // written by MarkStartPublished alone
	Totals       string     `firestore:"totals,omitempty"`      // JSON
	Reports      string     `firestore:"reports,omitempty"`     // push.ReportCounts as JSON, frozen by FreezeReports
	Unflag       *unflagDoc `firestore:"unflag,omitempty"`
	HeldDecision string     `firestore:"heldDecision,omitempty"`
	SizeAllowed  bool       `firestore:"sizeAllowed,omitempty"`
	ExpireAt     *time.Time `firestore:"expireAt,omitempty"`
}

// listFields are the fields that a list of mailings reads. The draft is not among them,
// because it may have 64 KiB.
var listFields = []string{
	"createdBy", "name", "tags", "title", "sendAt", "dryRun", "state", "pausedReason", "pausedDetail", "pausedFrom", "refusal",
	"createdAt", "startAt", "startedAt", "completedAt", "expiresAt", "totals", "hours",
}

// timeOrNil returns nil for the zero time, because Firestore stores no zero time.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// timeOrZero is the reverse of timeOrNil.
func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// encodeMailing returns the document of a mailing. The listed customers and tokens of
// its audience are in documents of their own.
func encodeMailing(m *push.Mailing, l listSummary) (*mailingDoc, error) {
	d := m.Draft
	d.Audience.Customers, d.Audience.Tokens = nil, nil
	draft, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}

	doc := &mailingDoc{
		Draft: string(draft), Digest: m.Digest, CreatedBy: string(m.CreatedBy), Label: m.Label, Recipient: m.Recipient, Name: m.Name, Tags: m.Tags, Title: m.Title, SendAt: m.SendAt, DryRun: m.DryRun,
		Listed: l.parts, ListOf: l.of, Entries: l.entries,
		State: string(m.State), PausedReason: string(m.PausedReason), PausedDetail: m.PausedDetail, PausedProject: m.PausedProject, PausedFrom: string(m.PausedFrom),
		Refusal: m.Refusal, Proven: m.Proven,
		CreatedAt: m.CreatedAt, StartAt: m.StartAt, StartedAt: timeOrNil(m.StartedAt),
		CompletedAt: timeOrNil(m.CompletedAt), ExpiresAt: m.ExpiresAt,
		Selection: string(m.Selection), Hours: encodeWindow(m.Hours), Rate: m.RateLimit(), NextSlot: timeOrNil(m.NextSlot), Estimated: m.Estimated, Shards: m.Shards, Dispatched: m.Dispatched, Active: m.Active,
		PausedPlatforms: m.PausedPlatforms, Unflag: encodeUnflag(m.Unflag), HeldDecision: string(m.HeldDecision), SizeAllowed: m.SizeAllowed,
		Creating: creatingValue(m), ResumedAt: timeOrNil(m.ResumedAt), Pauses: encodePauses(m.Pauses),
	}
	if m.Totals != nil {
		totals, err := json.Marshal(m.Totals)
		if err != nil {
			return nil, err
		}
		doc.Totals = string(totals)
	}
	if m.Reports != nil {
		reports, err := json.Marshal(m.Reports)
		if err != nil {
			return nil, err
		}
		doc.Reports = string(reports)
	}
	if !m.Active {
		doc.ExpireAt = timeOrNil(m.CompletedAt.Add(keepFor(m)))
	}

	return doc, nil
}

// keepFor is how long a mailing stays after it ended. A mailing to one customer stays
// for a shorter time, because its text may be about that person.
func keepFor(m *push.Mailing) time.Duration {
	if m.Recipient != "" {
		return keepTexts
	}
	return keepMailings
}

// decodeMailing reads a mailing's document, whole or by listFields.
func decodeMailing(snap *firestore.DocumentSnapshot) (*push.Mailing, listSummary, error) {
	var doc mailingDoc
	if err := snap.DataTo(&doc); err != nil {
		return nil, listSummary{}, classifyError(err, "decoding mailing %s", snap.Ref.ID)
	}

	m := &push.Mailing{
		ID: snap.Ref.ID, Digest: doc.Digest, CreatedBy: push.Caller(doc.CreatedBy), Label: doc.Label, Recipient: doc.Recipient, Title: doc.Title,
		State: push.State(doc.State), PausedReason: push.PauseReason(doc.PausedReason), PausedDetail: doc.PausedDetail, PausedProject: doc.PausedProject,
		PausedFrom: push.State(doc.PausedFrom), Refusal: doc.Refusal, Proven: doc.Proven,
		CreatedAt: doc.CreatedAt, StartAt: doc.StartAt, StartedAt: timeOrZero(doc.StartedAt),
		CompletedAt: timeOrZero(doc.CompletedAt), ExpiresAt: doc.ExpiresAt,
		Selection: push.DeviceSelection(doc.Selection), NextSlot: timeOrZero(doc.NextSlot), Estimated: doc.Estimated, Shards: doc.Shards, Dispatched: doc.Dispatched, Active: doc.Active,
		PausedPlatforms: doc.PausedPlatforms, Unflag: doc.Unflag.decodeUnflag(), HeldDecision: push.HeldDecision(doc.HeldDecision), SizeAllowed: doc.SizeAllowed,
		PublishedAt: timeOrZero(doc.PublishedAt), ResumedAt: timeOrZero(doc.ResumedAt), Pauses: decodePauses(doc.Pauses), Revision: snap.UpdateTime,
	}
	if doc.Draft == "" {
		m.Draft = push.Draft{Name: doc.Name, Tags: doc.Tags, SendAt: doc.SendAt, DryRun: doc.DryRun}
	} else if err := json.Unmarshal([]byte(doc.Draft), &m.Draft); err != nil {
		return nil, listSummary{}, classifyError(err, "decoding the draft of mailing %s", m.ID)
	}
	var err error
	if m.Hours, err = decodeWindow(doc.Hours); err != nil {
		return nil, listSummary{}, classifyError(err, "decoding the hours of mailing %s", m.ID)
	}
	if doc.Totals != "" {
		if err := json.Unmarshal([]byte(doc.Totals), &m.Totals); err != nil {
			return nil, listSummary{}, classifyError(err, "decoding the totals of mailing %s", m.ID)
		}
	}
	if doc.Reports != "" {
		if err := json.Unmarshal([]byte(doc.Reports), &m.Reports); err != nil {
			return nil, listSummary{}, classifyError(err, "decoding the reports of mailing %s", m.ID)
		}
	}

	return m, listSummary{parts: doc.Listed, of: doc.ListOf, entries: doc.Entries}, nil
}

// CreateMailing stores a new mailing and reports true. If a mailing with its id is
// stored already, it returns that one, without the list of its audience, and false;
// if that one came from another request, a *push.Conflict.
func (s *Store) CreateMailing(ctx context.Context, m *push.Mailing) (*push.Mailing, bool, error) {
	lists, l := splitList(m)
	doc, err := encodeMailing(m, l)
	if err != nil {
		return nil, false, classifyError(err, "encoding mailing %s", m.ID)
	}

	w := newWriteID()
	doc.Write = string(w)
	err = s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		for i, l := range lists {
			if err := tx.Create(s.listDocument(m.ID, i), l); err != nil {
				return err
			}
		}
		return tx.Create(s.mailingDocument(m.ID), doc)
	})
	if status.Code(err) != codes.AlreadyExists {
		return m, err == nil, classifyError(err, "storing mailing %s", m.ID)
	}
	if w.readIfStored(ctx, s.mailingDocument(m.ID), err) != nil {
		return m, true, nil
	}

	was, err := s.ReadMailingHeader(ctx, m.ID)
	if err != nil {
		return nil, false, err
	}
	if was.Digest != m.Digest {
		return nil, false, &push.Conflict{Why: "this Idempotency-Key was used with another body"}
	}

	return was, false, nil
}

// CountMailingsSince counts the mailings that were created since a time. It costs a
// read for each 1,000.
func (s *Store) CountMailingsSince(ctx context.Context, at time.Time) (int, error) {
	n, err := s.countDocuments(ctx, s.db.Collection("mailings").Where("createdAt", ">=", at))
	return n, classifyError(err, "counting the mailings since %s", at)
}

// ReadMailingHeader reads a mailing without the list of its audience. It costs one read.
func (s *Store) ReadMailingHeader(ctx context.Context, id string) (*push.Mailing, error) {
	m, _, err := s.readMailingAndList(ctx, id)
	return m, err
}

// readMailingAndList reads a mailing, and what is stored about its list. It returns
// *push.NotFound for an unknown id.
func (s *Store) readMailingAndList(ctx context.Context, id string) (*push.Mailing, listSummary, error) {
	if !validID(id) {
		return nil, listSummary{}, &push.NotFound{What: "mailing", ID: id}
	}
	snap, err := s.mailingDocument(id).Get(ctx)
	if isNotFound(err) {
		return nil, listSummary{}, &push.NotFound{What: "mailing", ID: id}
	}
	if err != nil {
		return nil, listSummary{}, classifyError(err, "reading mailing %s", id)
	}
	return decodeMailing(snap)
}

// validID reports whether id can be the name of a document. An id of a request may
// contain any character, a slash for example.
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

// ReadMailing reads a mailing with the customers or tokens that it lists. These are
// deleted KeepBatches after the end of its lifetime; then ReadMailing returns an error.
func (s *Store) ReadMailing(ctx context.Context, id string) (*push.Mailing, error) {
	m, l, err := s.readMailingAndList(ctx, id)
	if err != nil || l.parts == 0 {
		return m, err
	}
	whole, err := s.readListParts(ctx, m, l)
	if err == nil && !whole {
		err = fmt.Errorf("the audience of mailing %s has been deleted", id)
	}
	return m, err
}

// ListMailings lists mailings in a state and with a tag, "" for any, the newest first,
// in pages of size. They have the fields that lists show, and neither message nor
// audience. It returns the token of the next page, "" after the last one.
func (s *Store) ListMailings(ctx context.Context, state push.State, tag string, size int, token string) ([]*push.Mailing, string, error) {
	q := s.db.Collection("mailings").OrderBy("createdAt", firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc).
		Select(listFields...).Limit(size + 1)
	if state != "" {
		q = q.Where("state", "==", string(state))
	}
	if tag != "" {
		q = q.Where("tags", "array-contains", tag)
	}
	if token != "" {
		at, err := decodePageToken(token)
		if err != nil {
			return nil, "", err
		}
		q = q.StartAfter(at.created, at.id)
	}

	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, "", classifyError(err, "listing mailings")
	}

	var out []*push.Mailing
	for i, snap := range snaps {
		if i == size {
			last := out[size-1]
			return out, pageTokenAfter(last), nil
		}
		m, _, err := decodeMailing(snap)
		if err != nil {
			return nil, "", err
		}
		out = append(out, m)
	}

	return out, "", nil
}

// updateMailing reads a mailing, lets f change it, and stores it, all in one
// transaction, together with the events of the change. If f returns an error, nothing is
// written, and the mailing is returned together with the error. The transaction locks the
// mailing, so that no other change comes between the read and the write.
func (s *Store) updateMailing(ctx context.Context, id string, f func(*push.Mailing, *firestore.Transaction) error) (*push.Mailing, error) {
	if !validID(id) {
		return nil, &push.NotFound{What: "mailing", ID: id}
	}
	var m *push.Mailing
	w := newWriteID()
	err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.mailingDocument(id))
		if isNotFound(err) {
			return &push.NotFound{What: "mailing", ID: id}
		}
		if err != nil {
			return err
		}
		if w.changedLast(snap) {
			return errStored
		}
		var l listSummary
		if m, l, err = decodeMailing(snap); err != nil {
			return err
		}
		was := m.State
		if err := f(m, tx); err != nil {
			return err
		}
		m.NotePause(was, s.now())
		if err := s.storeEvents(tx, s.eventsOf(m, was)); err != nil {
			return err
		}
		doc, err := encodeMailing(m, l)
		if err != nil {
			return err
		}
		doc.Write = string(w)
		return tx.Set(s.mailingDocument(id), doc)
	})

	return m, err
}

// eventsOf returns the events of a change of the state of a mailing, except
// mailing.completed. tick publishes them from the outbox.
func (s *Store) eventsOf(m *push.Mailing, was push.State) []push.Event {
	switch {
	case was == m.State:
		return nil
	case was == push.Accepted && m.State == push.Sending:
		return []push.Event{push.StartedEvent(m)}
	case m.State == push.Paused:
		return []push.Event{push.PausedEvent(m, s.now())}
	}
	return nil
}
