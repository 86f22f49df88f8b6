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

// messageDoc is messages/{id}: a message to one customer, its only batch included.
type messageDoc struct {
	Draft     string `firestore:"draft"` // push.MessageDraft as JSON
	Title     string `firestore:"title,omitempty"`
	Digest    string `firestore:"digest"`
	CreatedBy string `firestore:"createdBy,omitempty"`
	Customer  string `firestore:"customer,omitempty"` // the customer's key: lists and erasures find the message by it
	TokenID   string `firestore:"tokenId,omitempty"`  // of a message to a token; an erasure finds it by that before its customer is known

	State       string     `firestore:"state"`
	Excluded    string     `firestore:"excluded,omitempty"`
	Refusal     string     `firestore:"refusal,omitempty"`
	CreatedAt   time.Time  `firestore:"createdAt"`
	CompletedAt *time.Time `firestore:"completedAt,omitempty"`
	ExpiresAt   time.Time  `firestore:"expiresAt"`
	PublishedAt *time.Time `firestore:"publishedAt,omitempty"`

	// Due is when tick publishes the message again: a shard and a time, as encodeDue writes
	// them. It is there until the message is settled.
	Due string `firestore:"due,omitempty"`

	PickedAt      *time.Time `firestore:"pickedAt,omitempty"` // when the targets were chosen
	NotBefore     *time.Time `firestore:"notBefore,omitempty"`
	Settled       bool       `firestore:"settled,omitempty"`
	Leases        int        `firestore:"leases,omitempty"`
	Tries         int        `firestore:"tries,omitempty"`
	Crashes       int        `firestore:"crashes,omitempty"`
	Saved         bool       `firestore:"saved,omitempty"`
	CrashedWith   []byte     `firestore:"crashedWith,omitempty"`
	UnderWay      []int      `firestore:"underWay,omitempty"`
	LeaseOwner    string     `firestore:"leaseOwner,omitempty"`
	LeaseUntil    *time.Time `firestore:"leaseUntil,omitempty"`
	Reason        string     `firestore:"reason,omitempty"`
	Targets       []byte     `firestore:"targets,omitempty"`    // push.EncodeTargets; deleted when it is settled
	Recipients    []byte     `firestore:"recipients,omitempty"` // push.EncodeRecipients; set when it is settled
	Results       []byte     `firestore:"results,omitempty"`    // one byte a target
	OwedFlags     []int      `firestore:"owedFlags,omitempty"`
	HeldFlags     []int      `firestore:"heldFlags,omitempty"`
	InvalidTokens string     `firestore:"invalidTokens,omitempty"` // JSON

	ExpireAt time.Time `firestore:"expireAt"`
	Write    string    `firestore:"write"` // the writeID of the last change
}

func (s *Store) messageDocument(id string) *firestore.DocumentRef { return s.db.Doc("messages/" + id) }

// encodeMessage returns the document of a message, with the write id w.
func (s *Store) encodeMessage(m *push.Message, w writeID) (*messageDoc, error) {
	draft, err := json.Marshal(m.MessageDraft)
	if err != nil {
		return nil, err
	}
	invalid, err := encodeInvalidTokens(m.Batch.InvalidTokens)
	if err != nil {
		return nil, err
	}

	b := &m.Batch
	d := &messageDoc{
		Draft: string(draft), Title: m.Title, Digest: m.Digest, CreatedBy: string(m.CreatedBy),
		State: string(m.State), Excluded: string(m.Excluded), Refusal: m.Refusal,
		CreatedAt: m.CreatedAt, CompletedAt: timeOrNil(m.CompletedAt), ExpiresAt: m.ExpiresAt, PublishedAt: timeOrNil(m.PublishedAt),
		PickedAt: timeOrNil(b.CreatedAt), NotBefore: timeOrNil(b.NotBefore), Settled: b.Settled,
		Leases: b.Leases, Tries: b.Tries, Crashes: b.Crashes, Saved: b.Saved, CrashedWith: b.CrashedWith, UnderWay: b.UnderWay,
		LeaseOwner: b.Lease.Owner, LeaseUntil: timeOrNil(b.Lease.Until), Reason: b.Reason, Results: encodeResults(b.Results),
		OwedFlags: b.OwedFlags, HeldFlags: b.HeldFlags, InvalidTokens: invalid,
		ExpireAt: m.ExpiresAt.Add(keepTexts), Write: string(w),
	}
	if at := nextPublication(m, s.now()); !at.IsZero() {
		d.Due = encodeDue(m.ID, at)
	}

	switch {
	case m.Customer != "":
		d.Customer = push.CustomerKey(m.Customer)
	case len(b.Targets) > 0:
		d.Customer = push.CustomerKey(b.Targets[0].Customer)
	}

	if address := m.TokenOrFID(); address != "" {
		d.TokenID = push.TokenID(address)
	}

	if b.Settled {
		d.CrashedWith, d.UnderWay = nil, nil
		d.Recipients = push.EncodeRecipients(b.Targets)
	} else if d.Targets, err = push.EncodeTargets(b.Targets); err != nil {
		return nil, err
	}
	return d, nil
}

// decodeMessage returns ErrUndecodable for a document that is not a message.
func decodeMessage(snap *firestore.DocumentSnapshot) (*push.Message, error) {
	var d messageDoc
	err := snap.DataTo(&d)
	m := &push.Message{
		ID: snap.Ref.ID, Title: d.Title, Digest: d.Digest, CreatedBy: push.Caller(d.CreatedBy),
		State: push.State(d.State), Excluded: push.Exclusion(d.Excluded), Refusal: d.Refusal,
		CreatedAt: d.CreatedAt, CompletedAt: timeOrZero(d.CompletedAt), ExpiresAt: d.ExpiresAt, PublishedAt: timeOrZero(d.PublishedAt),
		Picked: d.PickedAt != nil, Touched: d.PickedAt != nil || d.Leases > 0 || d.PublishedAt != nil,
	}
	if err == nil {
		err = json.Unmarshal([]byte(d.Draft), &m.MessageDraft)
	}
	if err == nil {
		err = decodeSingleBatch(m, &d)
	}
	if err != nil {
		return nil, fmt.Errorf("message %s: %w: %w", snap.Ref.ID, ErrUndecodable, err)
	}
	m.Batch.Revision = snap.UpdateTime
	return m, nil
}

// decodeSingleBatch gives a message its batch, or its recipients once it is settled.
func decodeSingleBatch(m *push.Message, d *messageDoc) (err error) {
	m.Batch = push.NewMessage(m.ID, m.Digest, m.MessageDraft, m.CreatedAt).Batch
	b := &m.Batch
	b.CreatedAt, b.NotBefore, b.Settled = timeOrZero(d.PickedAt), timeOrZero(d.NotBefore), d.Settled
	b.Leases, b.Tries, b.Crashes, b.Saved = d.Leases, d.Tries, d.Crashes, d.Saved
	b.Lease = push.Lease{Owner: d.LeaseOwner, Until: timeOrZero(d.LeaseUntil)}
	b.Reason, b.OwedFlags, b.HeldFlags, b.Results = d.Reason, d.OwedFlags, d.HeldFlags, decodeResults(d.Results)
	if d.InvalidTokens != "" {
		if err := json.Unmarshal([]byte(d.InvalidTokens), &b.InvalidTokens); err != nil {
			return err
		}
	}

	if d.Settled {
		if len(d.Recipients) > 0 && len(d.Results) > 0 {
			m.Recipients, err = push.FindRecipients(d.Recipients, b.Results, d.Customer)
		}
		return err
	}
	if len(d.Targets) > 0 {
		if b.Targets, err = push.DecodeTargets(d.Targets); err != nil {
			return err
		}
	}
	if len(b.Targets) != len(b.Results) {
		return fmt.Errorf("%d targets and %d results", len(b.Targets), len(b.Results))
	}

	for _, t := range b.Targets {
		r := push.Recipient{TokenID: push.TokenID(t.Token), Kind: t.Kind, Platform: t.Platform, App: t.App}
		r.Result = b.Results[len(m.Recipients)]
		m.Recipients = append(m.Recipients, r)
	}

	return decodeCrashes(b, &batchDoc{CrashedWith: d.CrashedWith, UnderWay: d.UnderWay})
}

// CreateMessage stores a new message and reports true, with one write. If a message
// with its id is stored already, it returns that one and false; if that one came from
// another request, a *push.Conflict.
func (s *Store) CreateMessage(ctx context.Context, m *push.Message) (*push.Message, bool, error) {
	w := newWriteID()
	d, err := s.encodeMessage(m, w)
	if err != nil {
		return nil, false, classifyError(err, "encoding message %s", m.ID)
	}
	res, err := s.messageDocument(m.ID).Create(ctx, d)
	if err == nil {
		m.Batch.Revision = res.UpdateTime
		return m, true, nil
	}
	if w.readIfStored(ctx, s.messageDocument(m.ID), err) != nil {
		return m, true, nil
	}
	if status.Code(err) != codes.AlreadyExists {
		return nil, false, classifyError(err, "storing message %s", m.ID)
	}

	was, err := s.ReadMessage(ctx, m.ID)
	if err != nil {
		return nil, false, err
	}
	if was.Digest != m.Digest {
		return nil, false, &push.Conflict{Why: "this Idempotency-Key was used with another body"}
	}
	return was, false, nil
}

// ReadMessage reads a message. It costs one read.
func (s *Store) ReadMessage(ctx context.Context, id string) (*push.Message, error) {
	if !validID(id) {
		return nil, &push.NotFound{What: "message", ID: id}
	}
	snap, err := s.messageDocument(id).Get(ctx)
	if isNotFound(err) {
		return nil, &push.NotFound{What: "message", ID: id}
	}
	if err != nil {
		return nil, classifyError(err, "reading message %s", id)
	}
	return decodeMessage(snap)
}

// ReadMessageToSend reads a message and the customer it is for, in one round trip if the
// reference names the customer. An unknown customer is returned as nil. It costs two
// reads, three for a message that is addressed to a token.
func (s *Store) ReadMessageToSend(ctx context.Context, ref push.MessageRef) (*push.Message, *push.Customer, error) {
	if ref.Customer == "" || !validID(ref.Message) {
		m, err := s.ReadMessage(ctx, ref.Message)
		if err != nil || m.Picked {
			return m, nil, err
		}
		c, err := s.customerOf(ctx, m)
		return m, c, err
	}

	snaps, err := s.db.GetAll(ctx, []*firestore.DocumentRef{s.messageDocument(ref.Message), s.customerDocument(ref.Customer)})
	if err != nil {
		return nil, nil, classifyError(err, "reading message %s", ref.Message)
	}
	if !snaps[0].Exists() {
		return nil, nil, &push.NotFound{What: "message", ID: ref.Message}
	}
	m, err := decodeMessage(snaps[0])
	if err != nil || !snaps[1].Exists() {
		return m, nil, err
	}
	c, err := decodeCustomer(snaps[1])
	if err != nil {
		err = fmt.Errorf("customer %s: %w: %w", snaps[1].Ref.ID, ErrUndecodable, err)
	}
	return m, c, err
}

// customerOf reads the customer that a message is for, nil if there is none.
func (s *Store) customerOf(ctx context.Context, m *push.Message) (*push.Customer, error) {
	ref := s.customerDocument(m.Customer)
	if address := m.TokenOrFID(); address != "" {
		snap, err := s.tokenDocument(push.TokenID(address)).Get(ctx)
		if isNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, classifyError(err, "finding the customer of message %s", m.ID)
		}
		key, _ := snap.Data()["key"].(string)
		if key == "" {
			return nil, nil
		}
		ref = s.db.Doc("customers/" + key)
	}

	snap, err := ref.Get(ctx)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classifyError(err, "reading the customer of message %s", m.ID)
	}
	return decodeCustomer(snap)
}

// SaveMessage stores the results of a message, and its lease, with one write. The revision
// of its batch is that of the document, and is the precondition of the write: it returns
// ErrConflict, and stores nothing, if another call has written since the message was read,
// or if the message was erased.
func (s *Store) SaveMessage(ctx context.Context, m *push.Message) error {
	m.UpdateState(s.now())
	w := newWriteID()
	d, err := s.encodeMessage(m, w)
	if err != nil {
		return classifyError(err, "encoding message %s", m.ID)
	}

	ref := s.messageDocument(m.ID)
	revision, err := s.updateMessageOnce(ctx, ref, d, w, m)
	if isNotFound(err) {
		return fmt.Errorf("saving message %s: %w: it was erased", m.ID, ErrConflict)
	}
	if err != nil {
		return classifyError(err, "saving message %s", m.ID)
	}
	m.Batch.Revision, m.Touched = revision, true
	return nil
}

// updateMessageOnce is updateOnce for all fields of a message that change.
func (s *Store) updateMessageOnce(ctx context.Context, ref *firestore.DocumentRef, d *messageDoc, w writeID, m *push.Message) (time.Time, error) {
	res, err := ref.Update(ctx, d.changedFields(m.Touched), firestore.LastUpdateTime(m.Batch.Revision))
	if err == nil {
		return res.UpdateTime, nil
	}
	if snap := w.readIfStored(ctx, ref, err); snap != nil {
		return snap.UpdateTime, nil
	}
	return time.Time{}, err
}

// changedFields are the fields that change after a message was stored. Those that are empty
// now are deleted: due, so that tick does not find the message, and, if an earlier call
// may have stored them, the others.
func (d *messageDoc) changedFields(touched bool) []firestore.Update {
	up := []firestore.Update{{Path: "state", Value: d.State}, {Path: "write", Value: d.Write}}
	add := func(path string, set bool, value any) {
		if !set {
			value = firestore.Delete
		}
		if set || touched || path == "due" {
			up = append(up, firestore.Update{Path: path, Value: value})
		}
	}

	add("due", d.Due != "", d.Due)
	add("customer", d.Customer != "", d.Customer)
	add("excluded", d.Excluded != "", d.Excluded)
	add("refusal", d.Refusal != "", d.Refusal)
	add("completedAt", d.CompletedAt != nil, d.CompletedAt)
	add("publishedAt", d.PublishedAt != nil, d.PublishedAt)
	add("pickedAt", d.PickedAt != nil, d.PickedAt)
	add("notBefore", d.NotBefore != nil, d.NotBefore)
	add("settled", d.Settled, d.Settled)
	add("leases", d.Leases > 0, d.Leases)
	add("tries", d.Tries > 0, d.Tries)
	add("crashes", d.Crashes > 0, d.Crashes)
	add("saved", d.Saved, d.Saved)
	add("reason", d.Reason != "", d.Reason)
	add("leaseOwner", d.LeaseOwner != "", d.LeaseOwner)
	add("leaseUntil", d.LeaseUntil != nil, d.LeaseUntil)
	add("crashedWith", len(d.CrashedWith) > 0, d.CrashedWith)
	add("underWay", len(d.UnderWay) > 0, d.UnderWay)
	add("targets", len(d.Targets) > 0, d.Targets)
	add("recipients", len(d.Recipients) > 0, d.Recipients)
	add("results", len(d.Results) > 0, d.Results)
	add("owedFlags", len(d.OwedFlags) > 0, d.OwedFlags)
	add("heldFlags", len(d.HeldFlags) > 0, d.HeldFlags)
	add("invalidTokens", d.InvalidTokens != "", d.InvalidTokens)
	return up
}

// LeaseMessage leases a message, and counts the attempt, with one write. It returns
// ErrConflict, and stores nothing, if another call was first.
func (s *Store) LeaseMessage(ctx context.Context, m *push.Message, l push.Lease) error {
	leased := *m
	leased.Batch.AcquireLease(l)
	leased.PublishedAt = time.Time{}
	if err := s.SaveMessage(ctx, &leased); err != nil {
		return err
	}
	*m = leased
	return nil
}

// CloseUndecodableMessage settles a message whose document, or whose customer's, cannot
// be decoded.
func (s *Store) CloseUndecodableMessage(ctx context.Context, id, reason string) error {
	_, err := s.messageDocument(id).Update(ctx, []firestore.Update{
		{Path: "state", Value: string(push.Completed)}, {Path: "completedAt", Value: s.now()}, {Path: "settled", Value: true},
		{Path: "reason", Value: reason}, {Path: "due", Value: firestore.Delete}, {Path: "targets", Value: firestore.Delete},
		{Path: "results", Value: firestore.Delete}, {Path: "recipients", Value: firestore.Delete},
	})
	if isNotFound(err) {
		return nil
	}
	return classifyError(err, "closing message %s", id)
}
