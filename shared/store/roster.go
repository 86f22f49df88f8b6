package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// A roster is a packed copy of what dispatch needs of customers, so that a mailing to
// everyone does not read one document for each of them. It has the customers whose keys
// begin with the same two digits, as they were at one moment. Those that changed later are
// found by a query for their fields prefix and changedAt. So a roster needs no job that keeps
// it up to date, and a write of a customer costs no further write. One that is missing or
// old only costs reads.
//
// Two rules keep a roster right:
//
//   - Every write that changes what rosters have of a customer sets changedAt. Firestore
//     chooses the time while it processes the commit, which takes a minute at most. So the
//     query for changes begins a minute before the moment of the roster.
//   - An erasure empties the roster in the transaction that deletes the customer. It changes
//     the document even if there is none, or if it is empty: a roster is stored only if its
//     document has not changed since it was read, so one that was made from an earlier read
//     is not.

const (
	prefixDigits = 2

	// rosterLife is how long a roster is brought up to date before all of its customers are
	// read again. So a change that was made without Carillon, and sets no changedAt, is
	// seen after this time at the latest. It costs one read for each customer.
	rosterLife = 30 * 24 * time.Hour

	// rosterBytes is the largest part of a roster. A document may have 1 MiB.
	rosterBytes = 900 << 10
	// rosterParts is how many documents one roster may have; a commit may have 10 MiB. A
	// larger one is not stored.
	rosterParts = 9

	// writeCost is the price of a write in reads.
	writeCost = 3
)

// rosterDoc is rosters/{prefix}, and rosters/{prefix}-{n} for the further parts of a roster
// that is too large for one document. An empty one has only the field write, the writeID of the
// erasure.
type rosterDoc struct {
	At       time.Time `firestore:"at"`       // the moment that the customers are of, the same in all parts
	BuiltAt  time.Time `firestore:"builtAt"`  // when all customers were read
	Parts    int       `firestore:"parts"`    // number of documents
	Data     []byte    `firestore:"data"`     // push.EncodeRoster
	ExpireAt time.Time `firestore:"expireAt"` // when TTL deletes it
}

// A roster is a rosterDoc and its further parts.
type roster struct {
	prefix    string
	revision  time.Time // of the first document; zero: it does not exist
	parts     int       // number of stored documents
	at        time.Time
	builtAt   time.Time
	customers []*push.Customer // in the order of their keys
	usable    bool             // customers has all customers at the time at
	encoded   [][]byte         // customers in the parts to be stored
}

// rosterPrefix returns the part of a customer's key that names the roster.
func rosterPrefix(key string) string { return key[:prefixDigits] }

// prefixNumber returns the number of a prefix in the order of the keys, from 0 to
// push.KeyPrefixes-1.
func prefixNumber(prefix string) int {
	return strings.IndexByte(push.KeyDigits, prefix[0])*len(push.KeyDigits) + strings.IndexByte(push.KeyDigits, prefix[1])
}

// lastKey is the greatest key.
var lastKey = push.LastKeyWith("")

// keyBefore returns a key below which no key has this prefix or a later one; "" for the
// first prefix.
func keyBefore(prefix string) string {
	if n := prefixNumber(prefix); n > 0 {
		return push.LastKeyWith(push.KeyPrefix(n - 1))
	}
	return ""
}

// rosterDocument returns a part of a roster, counted from 0.
func (s *Store) rosterDocument(prefix string, part int) *firestore.DocumentRef {
	if part > 0 {
		prefix = fmt.Sprintf("%s-%d", prefix, part)
	}
	return s.db.Doc("rosters/" + prefix)
}

// readRosters reads the rosters of prefixes in a read-only transaction, and returns its read
// time. Those that are missing, too old or damaged are not usable.
func (s *Store) readRosters(ctx context.Context, tx *firestore.Transaction, prefixes []string) ([]*roster, time.Time, error) {
	refs := make([]*firestore.DocumentRef, len(prefixes))
	for i, prefix := range prefixes {
		refs[i] = s.rosterDocument(prefix, 0)
	}
	snaps, err := tx.GetAll(refs)
	if err != nil {
		return nil, time.Time{}, err
	}

	readAt := snaps[0].ReadTime
	rosters := make([]*roster, len(prefixes))
	for i, snap := range snaps {
		if rosters[i], err = s.openRoster(ctx, tx, prefixes[i], snap, readAt); err != nil {
			return nil, time.Time{}, err
		}
	}

	return rosters, readAt, nil
}

// openRoster makes a roster of its first document, and reads its further parts.
func (s *Store) openRoster(ctx context.Context, tx *firestore.Transaction, prefix string, snap *firestore.DocumentSnapshot, readAt time.Time) (*roster, error) {
	r := &roster{prefix: prefix}
	if !snap.Exists() {
		return r, nil
	}

	r.revision = snap.UpdateTime
	var first rosterDoc
	if err := snap.DataTo(&first); err != nil {
		logSkipped(ctx, snap, err)
		return r, nil
	}
	if r.parts = first.Parts; first.Parts == 0 || readAt.Sub(first.BuiltAt) >= rosterLife {
		return r, nil
	}

	r.at, r.builtAt = first.At, first.BuiltAt
	docs, err := s.readFurtherParts(tx, prefix, first)
	if err != nil {
		return nil, err
	}
	for i, d := range docs {
		// TTL deletes one document after the other, so a part may be missing.
		if !d.At.Equal(first.At) {
			return r, nil
		}
		customers, err := push.DecodeRoster(d.Data)
		if err != nil {
			logSkipped(ctx, snap, fmt.Errorf("part %d: %w", i, err))
			return r, nil
		}
		r.customers = append(r.customers, customers...)
	}

	r.usable = true
	return r, nil
}

// readFurtherParts returns the parts of a roster, with its first. One that is missing or
// cannot be decoded is zero.
func (s *Store) readFurtherParts(tx *firestore.Transaction, prefix string, first rosterDoc) ([]rosterDoc, error) {
	docs := make([]rosterDoc, max(1, first.Parts))
	docs[0] = first
	if first.Parts <= 1 {
		return docs, nil
	}

	var refs []*firestore.DocumentRef
	for part := 1; part < first.Parts; part++ {
		refs = append(refs, s.rosterDocument(prefix, part))
	}
	snaps, err := tx.GetAll(refs)
	if err != nil {
		return nil, err
	}
	for i, snap := range snaps {
		if snap.Exists() && snap.DataTo(&docs[i+1]) != nil {
			docs[i+1] = rosterDoc{}
		}
	}

	return docs, nil
}

// emptyRoster empties the roster that may have a customer, in the transaction that erases
// the customer. The next mailing reads all customers of the roster again. It deletes every
// further part that there may be: after TTL has deleted the first document, nothing says
// how many are left.
func (b *customerTx) emptyRoster(key string) error {
	prefix := rosterPrefix(key)
	for part := 1; part < rosterParts; part++ {
		if err := b.tx.Delete(b.s.rosterDocument(prefix, part)); err != nil {
			return err
		}
	}

	// The id makes it a change in any case: a write that changes nothing keeps the revision, and
	// the roster may have been emptied before.
	return b.tx.Set(b.s.rosterDocument(prefix, 0), map[string]any{"write": string(b.id)})
}

// encodeRoster encodes customers in as few parts as have at most rosterBytes each. It returns
// nil if they are too many for a roster.
func encodeRoster(customers []*push.Customer) [][]byte {
	whole := push.EncodeRoster(customers)
	if len(whole) <= rosterBytes {
		return [][]byte{whole}
	}

	for n := len(whole)/rosterBytes + 1; n <= rosterParts; n++ {
		parts := make([][]byte, n)
		fits := true
		for i := range parts {
			parts[i] = push.EncodeRoster(customers[len(customers)*i/n : len(customers)*(i+1)/n])
			fits = fits && len(parts[i]) <= rosterBytes
		}
		if fits {
			return parts
		}
	}
	return nil
}

// storeRosters stores rosters, each if it has not changed since it was read. It returns the
// number of documents written. Those of one commit are stored together or not at all; the
// error is ErrConflict if one of them has changed.
func (s *Store) storeRosters(ctx context.Context, rosters []*roster) (int, error) {
	written, bytes := 0, 0
	var commit []*roster
	store := func() error {
		n, err := s.commitRosters(ctx, commit)
		written, bytes, commit = written+n, 0, nil
		return err
	}

	for _, r := range rosters {
		r.encoded = encodeRoster(r.customers)
		size := 0
		for _, part := range r.encoded {
			size += len(part)
		}
		if bytes+size > rosterParts*rosterBytes {
			if err := store(); err != nil {
				return written, err
			}
		}
		if r.encoded != nil {
			commit, bytes = append(commit, r), bytes+size
		}
	}

	return written, store()
}

// commitRosters stores encoded rosters in one commit, and returns the number of documents
// written.
func (s *Store) commitRosters(ctx context.Context, rosters []*roster) (int, error) {
	if len(rosters) == 0 {
		return 0, nil
	}

	written := 0
	err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		written = 0
		for _, r := range rosters {
			written += len(r.encoded)
			if err := s.writeRoster(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, classifyError(err, "storing %d rosters from %s", len(rosters), rosters[0].prefix)
	}

	return written, nil
}

// writeRoster adds the writes of an encoded roster to a transaction. The precondition of the
// first document guards all of them: it has to be at the revision that was read.
func (s *Store) writeRoster(tx *firestore.Transaction, r *roster) error {
	for i, data := range r.encoded {
		d := rosterDoc{At: r.at, BuiltAt: r.builtAt, Parts: len(r.encoded), Data: data, ExpireAt: r.builtAt.Add(rosterLife)}
		var err error
		switch first := s.rosterDocument(r.prefix, 0); {
		case i > 0:
			err = tx.Set(s.rosterDocument(r.prefix, i), d)
		case r.revision.IsZero():
			err = tx.Create(first, d)
		default:
			err = tx.Update(first, []firestore.Update{
				{Path: "at", Value: d.At}, {Path: "builtAt", Value: d.BuiltAt}, {Path: "parts", Value: d.Parts},
				{Path: "data", Value: d.Data}, {Path: "expireAt", Value: d.ExpireAt},
			}, firestore.LastUpdateTime(r.revision))
		}
		if err != nil {
			return err
		}
	}

	for part := len(r.encoded); part < r.parts; part++ {
		if err := tx.Delete(s.rosterDocument(r.prefix, part)); err != nil {
			return err
		}
	}
	return nil
}
