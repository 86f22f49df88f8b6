package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// batchDoc is mailings/{id}/batches/{id}. Open is true until the batch is settled, except
// while the batch waits for its hours: then WaitUntil is set and Open is false. Each minute
// tick lists batches with Open, so those that wait for hours cost it no read.
type batchDoc struct {
	Shard     int        `firestore:"shard"`
	CreatedAt time.Time  `firestore:"createdAt"`
	NotBefore *time.Time `firestore:"notBefore"`
	Open      bool       `firestore:"open"`
	WaitUntil *time.Time `firestore:"waitUntil,omitempty"`
	Zone      string     `firestore:"zone,omitempty"` // only of a mailing with hours
	Leases    int        `firestore:"leases"`
	Tries     int        `firestore:"tries"`
	Crashes   int        `firestore:"crashes"`
	Saved     bool       `firestore:"saved"`
	Limited   int        `firestore:"limited"`             // see push.Batch
	SettledAt *time.Time `firestore:"settledAt,omitempty"` // when the last of its targets got its result

	CrashedWith []byte `firestore:"crashedWith,omitempty"` // one byte for each target; set after the first crash
	UnderWay    []int  `firestore:"underWay,omitempty"`    // set with CrashedWith: targets that may be sent and not saved

	LeaseOwner string     `firestore:"leaseOwner"`
	LeaseUntil *time.Time `firestore:"leaseUntil"`
	Reason     string     `firestore:"reason,omitempty"`

	Lane        string     `firestore:"lane"`
	PublishedAt *time.Time `firestore:"publishedAt"`

	Targets          []byte         `firestore:"targets"`              // push.EncodeTargets; deleted when it is settled
	Recipients       []byte         `firestore:"recipients,omitempty"` // push.EncodeRecipients; set when it is settled
	Size             int            `firestore:"size"`                 // number of targets
	Results          []byte         `firestore:"results"`              // one byte a target
	OwedFlags        []int          `firestore:"owedFlags"`
	HeldFlags        []int          `firestore:"heldFlags"` // those of OwedFlags that wait for evidence
	Held             map[string]int `firestore:"held"`      // number of HeldFlags by result; every field is written
	Holding          bool           `firestore:"holding,omitempty"`
	First            string         `firestore:"first"`         // the key of the first target's customer, or a lower key; targets are in the order of these keys
	Last             string         `firestore:"last"`          // the key of the last target's customer, or a higher key; batches by zone of one commit share it
	InvalidTokens    string         `firestore:"invalidTokens"` // JSON
	HasInvalidTokens bool           `firestore:"hasInvalidTokens"`
	Tally            map[string]int `firestore:"tally"` // every field is written

	PlatformTally map[string]map[string]int `firestore:"platformTally"` // number of targets and tally of each platform; every field is written

	AppTally []map[string]any            `firestore:"appTally"` // see encodeApps
	AppSums  map[string]map[string]int64 `firestore:"appSums"`  // see encodeApps

	MissingAttribute   int    `firestore:"missingAttribute"`             // targets that were sent a message without an attribute that the templates name
	MissingAttributeOf []byte `firestore:"missingAttributeOf,omitempty"` // see encodeMissing; deleted when the batch is settled

	// Only of a mailing with variants: the index of each target's variant, and the number
	// of targets and the tally of each variant.
	VariantOf    []byte                    `firestore:"variantOf,omitempty"`
	VariantTally map[string]map[string]int `firestore:"variantTally,omitempty"`

	ExpireAt time.Time `firestore:"expireAt"`
	Write    string    `firestore:"write,omitempty"` // the writeID of the last change
}

// A tallyField is a field of a stored tally.
type tallyField struct {
	name   string
	result push.Result // what it counts
}

// tallyFields are the fields of a stored tally.
var tallyFields = []tallyField{
	{"accepted", push.ResultAccepted},
	{"unregistered", push.ResultUnregistered},
	{"invalidArgument", push.ResultInvalidArgument},
	{"refused", push.ResultRefused},
	{"failed", push.ResultFailed},
	{"expired", push.ResultExpired},
	{"cancelled", push.ResultCancelled},
	{"wrongSender", push.ResultWrongSender},
}

// heldFields are the fields of stored numbers of held flags and their codes.
var heldFields = []struct{ name, code string }{
	{"unregistered", push.CodeUnregistered},
	{"invalidArgument", push.CodeInvalidArgument},
	{"wrongSender", push.CodeWrongSender},
}

func (s *Store) batchDocument(ref push.BatchRef) *firestore.DocumentRef {
	return s.mailingDocument(ref.Mailing).Collection("batches").Doc(ref.Batch)
}

// encodeTally returns a tally as it is stored. It has every field, because a sum counts
// only documents that have the field.
func encodeTally(t push.Tally) map[string]int {
	m := make(map[string]int, len(tallyFields))
	for _, f := range tallyFields {
		m[f.name] = int(t[f.result])
	}
	return m
}

// encodeHeld returns the number of held flags by code, with every field, as encodeTally
// does.
func encodeHeld(byCode map[string]int64) map[string]int {
	m := make(map[string]int, len(heldFields))
	for _, f := range heldFields {
		m[f.name] = int(byCode[f.code])
	}
	return m
}

// encodeResults returns the results as one byte for each target, in the order of the
// targets.
func encodeResults(rs []push.Result) []byte {
	b := make([]byte, len(rs))
	for i, r := range rs {
		b[i] = byte(r)
	}
	return b
}

// decodeResults is the reverse of encodeResults.
func decodeResults(b []byte) []push.Result {
	out := make([]push.Result, len(b))
	for i, r := range b {
		out[i] = push.Result(r)
	}
	return out
}

// encodeBatch returns the document of a new batch. TTL deletes it at the time expireAt.
// The error is that of a target that cannot be encoded.
func encodeBatch(b *push.Batch, expireAt time.Time) (*batchDoc, error) {
	targets, err := push.EncodeTargets(b.Targets)
	if err != nil {
		return nil, fmt.Errorf("batch %s of mailing %s: %w", b.Batch, b.Mailing, err)
	}

	appTally, appSums := encodeApps(b.Targets, make([]push.Result, len(b.Targets)))
	first, last := b.First, b.Last
	if n := len(b.Targets); n > 0 && last == "" {
		first, last = push.CustomerKey(b.Targets[0].Customer), push.CustomerKey(b.Targets[n-1].Customer)
	}
	return &batchDoc{
		First: first, Last: last, Shard: b.Shard, CreatedAt: b.CreatedAt, NotBefore: timeOrNil(b.NotBefore),
		Open: b.WaitUntil.IsZero(), WaitUntil: timeOrNil(b.WaitUntil), Zone: b.Zone,
		Lane: string(b.Lane), PublishedAt: timeOrNil(b.PublishedAt),
		Targets: targets, Size: len(b.Targets), Results: make([]byte, len(b.Targets)), OwedFlags: []int{}, HeldFlags: []int{},
		Tally: encodeTally(push.Tally{}), Held: encodeHeld(nil), ExpireAt: expireAt,
		PlatformTally: encodePlatformTally(b.Targets, make([]push.Result, len(b.Targets))),
		AppTally:      appTally, AppSums: appSums,
		VariantOf: encodeVariants(b), VariantTally: encodeVariantTally(b),
	}, nil
}

// isSettled reports whether nothing of the batch is left to do.
func (d *batchDoc) isSettled() bool { return !d.Open && d.WaitUntil == nil }

// decodeBatch returns ErrUndecodable for a document that is not a batch. A settled batch has
// no targets and no results.
func decodeBatch(snap *firestore.DocumentSnapshot) (*push.Batch, error) {
	var d batchDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, fmt.Errorf("batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
	}

	b := &push.Batch{
		BatchRef: push.BatchRef{Mailing: snap.Ref.Parent.Parent.ID, Batch: snap.Ref.ID},
		Shard:    d.Shard, CreatedAt: d.CreatedAt, NotBefore: timeOrZero(d.NotBefore),
		Zone: d.Zone, WaitUntil: timeOrZero(d.WaitUntil), First: d.First, Last: d.Last,
		Leases: d.Leases, Tries: d.Tries, Crashes: d.Crashes, Saved: d.Saved, Limited: d.Limited,
		Lane: push.Lane(d.Lane), PublishedAt: timeOrZero(d.PublishedAt),
		Lease:   push.Lease{Owner: d.LeaseOwner, Until: timeOrZero(d.LeaseUntil)},
		Settled: d.isSettled(), Reason: d.Reason, OwedFlags: d.OwedFlags, HeldFlags: d.HeldFlags, Revision: snap.UpdateTime,
	}
	if d.InvalidTokens != "" {
		if err := json.Unmarshal([]byte(d.InvalidTokens), &b.InvalidTokens); err != nil {
			return nil, fmt.Errorf("decoding the invalid tokens of batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
		}
	}
	if b.Settled {
		return b, nil
	}

	var err error
	if b.Targets, err = push.DecodeTargets(d.Targets); err != nil {
		return nil, fmt.Errorf("batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
	}
	if len(d.Results) != len(b.Targets) {
		return nil, fmt.Errorf("batch %s: %w: %d targets and %d results", snap.Ref.Path, ErrUndecodable, len(b.Targets), len(d.Results))
	}

	b.Results = decodeResults(d.Results)
	if err := decodeVariants(b, &d); err != nil {
		return nil, err
	}
	if err := decodeMissing(b, &d); err != nil {
		return nil, err
	}
	return b, decodeCrashes(b, &d)
}

// decodeCrashes gives the batch what is stored of the calls that crashed with it.
func decodeCrashes(b *push.Batch, d *batchDoc) error {
	if len(d.CrashedWith) == 0 {
		return nil
	}
	if len(d.CrashedWith) != len(b.Targets) {
		return fmt.Errorf("batch %s: %w: %d targets and %d counts of crashes", b.Batch, ErrUndecodable, len(b.Targets), len(d.CrashedWith))
	}

	for _, i := range d.UnderWay {
		if i < 0 || i >= len(b.Targets) {
			return fmt.Errorf("batch %s: %w: target %d of %d is under way", b.Batch, ErrUndecodable, i, len(b.Targets))
		}
	}

	b.CrashedWith, b.UnderWay = d.CrashedWith, d.UnderWay
	return nil
}

// crashUpdates returns the updates of the fields about crashed calls. It returns none if no
// call has crashed with the batch.
func crashUpdates(b *push.Batch) []firestore.Update {
	if b.CrashedWith == nil {
		return nil
	}
	if b.Settled {
		return []firestore.Update{{Path: "crashedWith", Value: firestore.Delete}, {Path: "underWay", Value: firestore.Delete}}
	}
	return []firestore.Update{{Path: "crashedWith", Value: b.CrashedWith}, {Path: "underWay", Value: b.UnderWay}}
}

// ReadBatch reads a batch.
func (s *Store) ReadBatch(ctx context.Context, ref push.BatchRef) (*push.Batch, error) {
	if !validID(ref.Mailing) || !validID(ref.Batch) {
		return nil, &push.NotFound{What: "batch", ID: ref.Mailing + "/" + ref.Batch}
	}
	snap, err := s.batchDocument(ref).Get(ctx)
	if isNotFound(err) {
		return nil, &push.NotFound{What: "batch", ID: ref.Mailing + "/" + ref.Batch}
	}
	if err != nil {
		return nil, classifyError(err, "reading batch %s of mailing %s", ref.Batch, ref.Mailing)
	}
	return decodeBatch(snap)
}

// LeaseBatch leases a batch, and counts the attempt. The write has the revision of the batch
// as its precondition, so that of two calls that read the same batch only one gets the
// lease. It returns ErrConflict, and stores nothing, if another call was first.
func (s *Store) LeaseBatch(ctx context.Context, b *push.Batch, l push.Lease) error {
	leased := *b
	leased.AcquireLease(l)

	revision, err := s.updateOnce(ctx, s.batchDocument(b.BatchRef), b.Revision, append(crashUpdates(&leased), []firestore.Update{
		{Path: "leaseOwner", Value: l.Owner}, {Path: "leaseUntil", Value: l.Until}, {Path: "leases", Value: leased.Leases},
		{Path: "tries", Value: leased.Tries}, {Path: "crashes", Value: leased.Crashes}, {Path: "saved", Value: false}, {Path: "publishedAt", Value: nil},
	}...)...)
	if err != nil {
		return classifyError(err, "leasing batch %s of mailing %s", b.Batch, b.Mailing)
	}
	leased.Revision, leased.PublishedAt = revision, time.Time{}
	*b = leased
	return nil
}

// encodeInvalidTokens returns invalid tokens as JSON, "" for none. It does not escape HTML,
// because push.Target.Size computes the size without it.
func encodeInvalidTokens(tokens []push.InvalidToken) (string, error) {
	if len(tokens) == 0 {
		return "", nil
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(tokens)
	return b.String(), err
}

// SaveBatch stores the results, the flags, the times and the lease of a batch. A batch that
// is Settled is closed, and one with WaitUntil waits for its hours. The write has the
// revision of the last read or save as its precondition, so that a call whose lease has
// ended does not overwrite the results of the next one: then it returns ErrConflict, and
// stores nothing.
func (s *Store) SaveBatch(ctx context.Context, b *push.Batch) error {
	invalid, err := encodeInvalidTokens(b.InvalidTokens)
	if err != nil {
		return fmt.Errorf("encoding the invalid tokens of batch %s: %w", b.Batch, err)
	}

	owed, undecided := b.OwedFlags, b.HeldFlags
	if owed == nil {
		owed = []int{}
	}
	if undecided == nil {
		undecided = []int{}
	}

	up := []firestore.Update{
		{Path: "results", Value: encodeResults(b.Results)},
		{Path: "heldFlags", Value: undecided}, {Path: "holding", Value: len(undecided) > 0}, {Path: "held", Value: encodeHeld(b.HeldByCode())},
		{Path: "owedFlags", Value: owed}, {Path: "invalidTokens", Value: invalid}, {Path: "hasInvalidTokens", Value: invalid != ""},
		{Path: "notBefore", Value: timeOrNil(b.NotBefore)}, {Path: "leaseOwner", Value: b.Lease.Owner},
		{Path: "leaseUntil", Value: timeOrNil(b.Lease.Until)}, {Path: "reason", Value: b.Reason},
		{Path: "tries", Value: b.Tries}, {Path: "crashes", Value: b.Crashes}, {Path: "saved", Value: b.Saved},
		{Path: "publishedAt", Value: timeOrNil(b.PublishedAt)}, {Path: "limited", Value: b.Limited},
	}
	up = append(append(up, tallyUpdates(b)...), crashUpdates(b)...)
	switch {
	case b.Settled:
		up = append(up, firestore.Update{Path: "open", Value: firestore.Delete}, firestore.Update{Path: "targets", Value: firestore.Delete},
			firestore.Update{Path: "recipients", Value: push.EncodeRecipients(b.Targets)},
			firestore.Update{Path: "settledAt", Value: s.now()})
	case !b.WaitUntil.IsZero():
		up = append(up, firestore.Update{Path: "open", Value: false}, firestore.Update{Path: "waitUntil", Value: b.WaitUntil})
	}

	revision, err := s.updateOnce(ctx, s.batchDocument(b.BatchRef), b.Revision, up...)
	if err != nil {
		return classifyError(err, "saving batch %s of mailing %s", b.Batch, b.Mailing)
	}

	b.Revision = revision
	return nil
}

// openBatchesQuery finds the batches of a mailing that are not settled and do not wait
// for their hours.
func (s *Store) openBatchesQuery(mailing string) firestore.Query {
	return s.mailingDocument(mailing).Collection("batches").Where("open", "==", true)
}

// CountOpenBatches counts the batches of a mailing that are not settled and do not wait for its
// hours.
func (s *Store) CountOpenBatches(ctx context.Context, mailing string) (int, error) {
	n, err := s.countDocuments(ctx, s.openBatchesQuery(mailing))
	return n, classifyError(err, "counting open batches of mailing %s", mailing)
}

// countUnsettled counts the batches of a mailing that are not settled: the open ones, or,
// if there are none, those that wait for their hours.
func (s *Store) countUnsettled(ctx context.Context, mailing string) (int, error) {
	open, err := s.CountOpenBatches(ctx, mailing)
	if err != nil || open > 0 {
		return open, err
	}
	waiting, err := s.countDocuments(ctx, s.waitingBatchesQuery(mailing))
	return waiting, classifyError(err, "counting waiting batches of mailing %s", mailing)
}
