package store

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// An AudiencePage is a part of an audience in the order of the customers' keys.
type AudiencePage struct {
	Members  []AudienceMember
	Excluded push.Excluded // customers of the page's range that are left out without being read
	Last     string        // the last key of the page; "" when the page reaches the end of the range
	ReadAt   time.Time     // the moment of a page that was read from rosters; zero of another page
	Reads    AudienceReads
}

// AudienceReads are the documents that were read and written for a page, of an audience that
// uses rosters.
type AudienceReads struct {
	Rosters        int // documents of rosters
	Changes        int // customers who changed after their roster was stored
	Customers      int // customers of rosters that were missing
	RostersWritten int // documents of rosters
}

// Add adds the documents of another page.
func (r *AudienceReads) Add(more AudienceReads) {
	r.Rosters, r.Changes = r.Rosters+more.Rosters, r.Changes+more.Changes
	r.Customers, r.RostersWritten = r.Customers+more.Customers, r.RostersWritten+more.RostersWritten
}

// An AudienceMember is a customer of the audience.
type AudienceMember struct {
	Key      string
	Customer *push.Customer // nil: this id or token is not registered, or cannot be decoded
	Only     []string       // token ids that the audience lists; nil: all tokens of the customer

	segments []string // of a customer that cannot be decoded
}

// An Audience reads the customers of one mailing range by range.
type Audience interface {
	// ReadPage reads at most size members whose keys are greater than after and not
	// greater than upto ("": no end).
	ReadPage(ctx context.Context, after, upto string, size int) (AudiencePage, error)
	// PageSize returns how many members a page should have at most.
	PageSize() int
	// EstimateSize estimates the number of customers. A number below exactBelow is exact. Its
	// cost hardly depends on the number.
	EstimateSize(ctx context.Context) (int, error)
	// CountRange counts the members whose keys are greater than after and not greater
	// than upto ("": no end).
	CountRange(ctx context.Context, after, upto string) (int, error)
}

// OpenAudience opens the audience of a mailing that was read by Mailing. Of the
// customers' attributes it reads the named ones only.
func (s *Store) OpenAudience(ctx context.Context, m *push.Mailing, attributes ...string) (Audience, error) {
	a := m.Audience
	switch {
	case a.Everyone:
		everyone := everyoneAudience{s, customerFields(attributes)}
		return s.withRosters(everyone, segmentBase{}, nil, attributes), nil
	case a.Segments != nil:
		segments, err := s.openSegments(ctx, a.Segments, customerFields(attributes))
		if err != nil {
			return nil, err
		}
		return s.withRosters(segments, segments.base, a.Segments, attributes), nil
	case a.Tokens != nil:
		return s.openListedTokens(ctx, m)
	default:
		return s.openListedCustomers(a.Customers), nil
	}
}

// customerFields are the fields of a customer that dispatch needs. Firestore bills a read
// by the document, whatever number of fields it returns.
func customerFields(attributes []string) []firestore.FieldPath {
	fields := []firestore.FieldPath{{"id"}, {"tokens"}, {"optedOut"}, {"categories"}, {"segments"}, {"timeZone"}}
	for _, name := range attributes {
		fields = append(fields, firestore.FieldPath{"attributes", name})
	}
	return fields
}

func (s *Store) customerCollection() *firestore.CollectionRef { return s.db.Collection("customers") }

// keyRange limits q to keys greater than after and not greater than upto, in order.
func keyRange(q firestore.Query, after, upto string) firestore.Query {
	q = q.OrderBy(firestore.DocumentID, firestore.Asc)
	if after != "" {
		q = q.StartAfter(after)
	}
	if upto != "" {
		q = q.EndAt(upto)
	}
	return q
}

// estimateCount counts the customers whose keys begin with one of the 32 digits, and
// multiplies: keys are hashes, so that each digit has about as many.
func (s *Store) estimateCount(ctx context.Context, q firestore.Query) (int, error) {
	n, err := s.countDocuments(ctx, keyRange(q, "", "1"))
	return 32 * n, err
}

// exactBelow is the number of customers below which they are counted exactly: the
// count costs a read for each 1,000.
const exactBelow = 20_000

// countOrEstimate estimates the number of customers that a query finds, and counts them where
// the estimate is small.
func (s *Store) countOrEstimate(ctx context.Context, q firestore.Query) (int, error) {
	n, err := s.estimateCount(ctx, q)
	if err != nil || n >= exactBelow {
		return n, err
	}
	return s.countDocuments(ctx, q)
}

// DocumentPage is how many customers a page should have that is read from the documents of
// customers.
const DocumentPage = 1000

// PageSize returns DocumentPage.
func (everyoneAudience) PageSize() int { return DocumentPage }

// PageSize returns DocumentPage.
func (*listedAudience) PageSize() int { return DocumentPage }

// everyoneAudience is the audience of all customers. It reads reachable customers only. The
// others are counted by an aggregation over the same range at the same read time: a
// customer whose token this mailing flags is not counted twice.
type everyoneAudience struct {
	s      *Store
	fields []firestore.FieldPath
}

// EstimateSize counts all customers, reachable or not.
func (e everyoneAudience) EstimateSize(ctx context.Context) (int, error) {
	n, err := e.s.countOrEstimate(ctx, e.s.customerCollection().Query)
	return n, classifyError(err, "counting customers")
}

// ReadPage reads the reachable customers of a page and counts the others, both in one
// read-only transaction, so that no customer is in both or in neither.
func (e everyoneAudience) ReadPage(ctx context.Context, after, upto string, size int) (AudiencePage, error) {
	var p AudiencePage
	err := e.s.runTransaction(ctx, func(ctx context.Context, tx *firestore.Transaction) error {
		p = AudiencePage{}
		q := keyRange(e.s.customerCollection().Where("reachable", "==", true), after, upto).SelectPaths(e.fields...).Limit(size)
		snaps, err := tx.Documents(q).GetAll()
		if err != nil {
			return err
		}
		p.Members = decodeMembers(ctx, snaps)
		end := upto
		if len(snaps) == size {
			p.Last = snaps[size-1].Ref.ID
			end = p.Last
		}
		not := keyRange(e.s.customerCollection().Where("reachable", "==", false), after, end)
		n, err := countWith(ctx, not.NewAggregationQuery().Transaction(tx))
		p.Excluded.NoValidToken = int64(n)
		return err
	}, firestore.ReadOnly)

	return p, classifyError(err, "reading customers after %q", after)
}

// decodeMembers decodes customers. A customer that cannot be decoded is logged and counts
// as unknown, so that the others of the page are sent to.
func decodeMembers(ctx context.Context, snaps []*firestore.DocumentSnapshot) []AudienceMember {
	out := make([]AudienceMember, 0, len(snaps))
	for _, snap := range snaps {
		c, err := decodeCustomer(snap)
		if err != nil {
			logSkipped(ctx, snap, err)
			out = append(out, AudienceMember{Key: snap.Ref.ID, segments: segmentsOf(snap)})
			continue
		}
		out = append(out, AudienceMember{Key: snap.Ref.ID, Customer: c})
	}

	return out
}

// listedAudience is an audience of listed customers or tokens: its keys are known,
// in order.
type listedAudience struct {
	s            *Store
	keys         []string
	listedTokens map[string][]string // by key: the token ids that are listed
	unregistered map[string]bool     // keys that are the ids of listed tokens that are not registered
}

// openListedCustomers makes the audience of listed customers. It reads nothing.
func (s *Store) openListedCustomers(ids []string) *listedAudience {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = push.CustomerKey(id)
	}
	return s.newListedAudience(keys)
}

// newListedAudience makes an audience of customers, by their keys in any order.
func (s *Store) newListedAudience(keys []string) *listedAudience {
	a := &listedAudience{s: s, keys: slices.Clone(keys)}
	a.sortKeys()
	return a
}

// sortKeys sorts the keys, and removes those that are listed twice: each customer is
// counted once.
func (a *listedAudience) sortKeys() {
	slices.Sort(a.keys)
	a.keys = slices.Compact(a.keys)
}

// EstimateSize returns how many customers and unregistered tokens are listed. It reads
// nothing.
func (a *listedAudience) EstimateSize(context.Context) (int, error) { return len(a.keys), nil }

// keysOf returns the keys of a range, in order.
func (a *listedAudience) keysOf(after, upto string) []string {
	from, found := slices.BinarySearch(a.keys, after)
	if found {
		from++
	}

	to := len(a.keys)
	if upto != "" {
		if i, found := slices.BinarySearch(a.keys, upto); found {
			to = i + 1
		} else {
			to = i
		}
	}
	return a.keys[from:max(from, to)]
}

// ReadPage reads the listed customers of a page, with one read for each. One without a
// document has no Customer.
func (a *listedAudience) ReadPage(ctx context.Context, after, upto string, size int) (AudiencePage, error) {
	keys := a.keysOf(after, upto)
	var p AudiencePage
	if len(keys) > size {
		keys = keys[:size]
		p.Last = keys[size-1]
	}

	var refs []*firestore.DocumentRef
	for _, k := range keys {
		refs = append(refs, a.s.customerCollection().Doc(k))
	}

	if len(refs) == 0 {
		return p, nil
	}

	snaps, err := a.s.db.GetAll(ctx, refs)
	if err != nil {
		return AudiencePage{}, classifyError(err, "reading listed customers after %q", after)
	}

	for _, snap := range snaps {
		m := AudienceMember{Key: snap.Ref.ID, Only: a.listedTokens[snap.Ref.ID]}
		if snap.Exists() && !a.unregistered[m.Key] {
			if m.Customer, err = decodeCustomer(snap); err != nil {
				logSkipped(ctx, snap, err)
			}
		}
		p.Members = append(p.Members, m)
	}

	return p, nil
}
