package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// batchDoc is mailings/{id}/batches/{id}. Open is there until the batch is
// settled; the index on it is what tick finds unfinished batches by.
type batchDoc struct {
	Shard      int        `firestore:"shard"`
	CutAt      time.Time  `firestore:"cutAt"`
	NotBefore  *time.Time `firestore:"notBefore"`
	Open       bool       `firestore:"open"`
	Attempts   int        `firestore:"attempts"`
	LeaseOwner string     `firestore:"leaseOwner"`
	LeaseUntil *time.Time `firestore:"leaseUntil"`
	Reason     string     `firestore:"reason,omitempty"`

	Targets  []byte         `firestore:"targets"`  // push.EncodeTargets; gone once settled
	Size     int            `firestore:"size"`     // how many targets
	Receipts []byte         `firestore:"receipts"` // one byte a target
	Owed     []int          `firestore:"owed"`
	Dead     string         `firestore:"dead"`  // JSON
	First    string         `firestore:"first"` // key of the first target's customer: targets are in their order
	Last     string         `firestore:"last"`  // key of the last one's
	HasDead  bool           `firestore:"hasDead"`
	Tally    map[string]int `firestore:"tally"` // always written in full

	ExpireAt time.Time `firestore:"expireAt"`
}

// tallyFields are the fields of a stored tally and what they count.
var tallyFields = []struct {
	name    string
	receipt push.Receipt
}{
	{"accepted", push.ReceiptAccepted},
	{"unregistered", push.ReceiptUnregistered},
	{"invalidArgument", push.ReceiptInvalidArgument},
	{"refused", push.ReceiptRefused},
	{"failed", push.ReceiptFailed},
	{"expired", push.ReceiptExpired},
	{"cancelled", push.ReceiptCancelled},
}

func (s *Store) batch(ref push.Ref) *firestore.DocumentRef {
	return s.mailing(ref.Mailing).Collection("batches").Doc(ref.Batch)
}

func encodeTally(t push.Tally) map[string]int {
	m := make(map[string]int, len(tallyFields))
	for _, f := range tallyFields {
		m[f.name] = int(t[f.receipt])
	}
	return m
}

func encodeReceipts(rs []push.Receipt) []byte {
	b := make([]byte, len(rs))
	for i, r := range rs {
		b[i] = byte(r)
	}
	return b
}

func encodeBatch(b *push.Batch, forget time.Time) (*batchDoc, error) {
	targets, err := push.EncodeTargets(b.Targets)
	if err != nil {
		return nil, fmt.Errorf("batch %s of mailing %s: %w", b.Batch, b.Mailing, err)
	}
	first, last := "", ""
	if n := len(b.Targets); n > 0 {
		first, last = push.CustomerKey(b.Targets[0].Customer), push.CustomerKey(b.Targets[n-1].Customer)
	}
	return &batchDoc{
		First: first, Last: last, Shard: b.Shard, CutAt: b.CutAt, NotBefore: stamp(b.NotBefore), Open: true,
		Targets: targets, Size: len(b.Targets), Receipts: make([]byte, len(b.Targets)), Owed: []int{},
		Tally: encodeTally(push.Tally{}), ExpireAt: forget,
	}, nil
}

func decodeBatch(snap *firestore.DocumentSnapshot) (*push.Batch, error) {
	var d batchDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, fmt.Errorf("decoding batch %s: %w", snap.Ref.Path, err)
	}
	b := &push.Batch{
		Ref:   push.Ref{Mailing: snap.Ref.Parent.Parent.ID, Batch: snap.Ref.ID},
		Shard: d.Shard, CutAt: d.CutAt, NotBefore: unstamp(d.NotBefore), Attempts: d.Attempts,
		Lease:   push.Lease{Owner: d.LeaseOwner, Until: unstamp(d.LeaseUntil)},
		Settled: !d.Open, Reason: d.Reason, Owed: d.Owed, Revision: snap.UpdateTime,
	}
	if d.Dead != "" {
		if err := json.Unmarshal([]byte(d.Dead), &b.Dead); err != nil {
			return nil, fmt.Errorf("decoding the dead tokens of batch %s: %w", snap.Ref.Path, err)
		}
	}
	if b.Settled {
		return b, nil
	}
	var err error
	if b.Targets, err = push.DecodeTargets(d.Targets); err != nil {
		return nil, fmt.Errorf("batch %s: %w", snap.Ref.Path, err)
	}
	if len(d.Receipts) != len(b.Targets) {
		return nil, fmt.Errorf("batch %s has %d targets and %d receipts", snap.Ref.Path, len(b.Targets), len(d.Receipts))
	}
	for _, r := range d.Receipts {
		b.Receipts = append(b.Receipts, push.Receipt(r))
	}
	return b, nil
}

// Batch reads a batch.
func (s *Store) Batch(ctx context.Context, ref push.Ref) (*push.Batch, error) {
	if !validID(ref.Mailing) || !validID(ref.Batch) {
		return nil, &push.NotFound{What: "batch", ID: ref.Mailing + "/" + ref.Batch}
	}
	snap, err := s.batch(ref).Get(ctx)
	if missing(err) {
		return nil, &push.NotFound{What: "batch", ID: ref.Mailing + "/" + ref.Batch}
	}
	if err != nil {
		return nil, classify(err, "reading batch %s of mailing %s", ref.Batch, ref.Mailing)
	}
	return decodeBatch(snap)
}

// Lease gives the batch as it was read to an owner until then, and counts the
// attempt. ErrStale: somebody else was first.
func (s *Store) Lease(ctx context.Context, b *push.Batch, l push.Lease) error {
	err := s.update(ctx, b, []firestore.Update{
		{Path: "leaseOwner", Value: l.Owner}, {Path: "leaseUntil", Value: l.Until}, {Path: "attempts", Value: b.Attempts + 1},
	}, func(d *batchDoc) bool { return d.LeaseOwner == l.Owner && d.Attempts == b.Attempts+1 })
	if err != nil {
		return classify(err, "leasing batch %s of mailing %s", b.Batch, b.Mailing)
	}
	b.Lease, b.Attempts = l, b.Attempts+1
	return nil
}

// encodeDead writes ids as they are: push.Target.Size counts on it.
func encodeDead(dead []push.Dead) (string, error) {
	if len(dead) == 0 {
		return "", nil
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(dead)
	return b.String(), err
}

// SaveBatch stores the receipts, what is owed and the times of a leased batch;
// with Settled it closes it. ErrStale: the lease is somebody else's now, and
// nothing was stored.
func (s *Store) SaveBatch(ctx context.Context, b *push.Batch) error {
	dead, err := encodeDead(b.Dead)
	if err != nil {
		return fmt.Errorf("encoding the dead tokens of batch %s: %w", b.Batch, err)
	}
	owed := b.Owed
	if owed == nil {
		owed = []int{}
	}
	up := []firestore.Update{
		{Path: "receipts", Value: encodeReceipts(b.Receipts)}, {Path: "tally", Value: encodeTally(push.TallyOf(b.Receipts))},
		{Path: "owed", Value: owed}, {Path: "dead", Value: dead}, {Path: "hasDead", Value: dead != ""},
		{Path: "notBefore", Value: stamp(b.NotBefore)}, {Path: "leaseOwner", Value: b.Lease.Owner},
		{Path: "leaseUntil", Value: stamp(b.Lease.Until)}, {Path: "reason", Value: b.Reason},
	}
	if b.Settled {
		up = append(up, firestore.Update{Path: "open", Value: firestore.Delete}, firestore.Update{Path: "targets", Value: firestore.Delete})
	}
	stored := func(d *batchDoc) bool {
		return d.Attempts == b.Attempts && d.LeaseOwner == b.Lease.Owner && d.Open == !b.Settled && d.Dead == dead &&
			slices.Equal(d.Owed, owed) && bytes.Equal(d.Receipts, encodeReceipts(b.Receipts))
	}
	if err := s.update(ctx, b, up, stored); err != nil {
		return classify(err, "saving batch %s of mailing %s", b.Batch, b.Mailing)
	}
	return nil
}

// update writes to a batch if nobody has since it was read. When the answer to
// a write is lost the client tries again, and fails on its own first effect;
// stored tells that case apart: each claim counts the attempts, so nobody else
// leaves the document as this caller does.
func (s *Store) update(ctx context.Context, b *push.Batch, up []firestore.Update, stored func(*batchDoc) bool) error {
	res, err := s.batch(b.Ref).Update(ctx, up, firestore.LastUpdateTime(b.Revision))
	if err == nil {
		b.Revision = res.UpdateTime
		return nil
	}
	if !stale(err) {
		return err
	}
	var d batchDoc
	snap, rerr := s.batch(b.Ref).Get(ctx)
	if rerr != nil || snap.DataTo(&d) != nil || !stored(&d) {
		return err
	}
	b.Revision = snap.UpdateTime
	return nil
}

// OpenBatch is what tick needs to know of a batch that is not settled.
type OpenBatch struct {
	push.Ref
	CutAt, NotBefore, LeaseUntil time.Time // zero: none
}

// OpenBatches lists the batches of a mailing that are not settled.
func (s *Store) OpenBatches(ctx context.Context, mailing string) ([]OpenBatch, error) {
	q := s.openBatches(mailing).Select("cutAt", "notBefore", "leaseUntil")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classify(err, "listing open batches of mailing %s", mailing)
	}
	out := make([]OpenBatch, 0, len(snaps))
	for _, snap := range snaps {
		var d batchDoc
		if err := snap.DataTo(&d); err != nil {
			return nil, fmt.Errorf("decoding batch %s: %w", snap.Ref.Path, err)
		}
		out = append(out, OpenBatch{push.Ref{Mailing: mailing, Batch: snap.Ref.ID}, d.CutAt, unstamp(d.NotBefore), unstamp(d.LeaseUntil)})
	}
	return out, nil
}

func (s *Store) openBatches(mailing string) firestore.Query {
	return s.mailing(mailing).Collection("batches").Where("open", "==", true)
}

// CountOpen counts the batches of a mailing that are not settled.
func (s *Store) CountOpen(ctx context.Context, mailing string) (int, error) {
	n, err := s.count(ctx, s.openBatches(mailing))
	return n, classify(err, "counting open batches of mailing %s", mailing)
}
