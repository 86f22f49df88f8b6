package store

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

const (
	// rosterPage is about how many customers a page of rosters has.
	rosterPage = 2000
	// mostPrefixes is how many rosters a page reads at most, so that the changes of a page need
	// two queries at most: each request may fail, and then the page is read again.
	mostPrefixes = 2 * valuesPerQuery
	// mostRosterPage is how many customers a page of rosters may have at most.
	mostRosterPage = 10_000
	// leastRosterPage is the smallest page that is read from rosters: a smaller one costs less
	// by customer.
	leastRosterPage = 20
	// mostPerRoster is up to how many customers of a roster rosters are used: those of a base
	// of 15 million. buildLimit is how many customers are read at once to make rosters.
	mostPerRoster = 15_000
	buildLimit    = 20_000
	// segmentShare is the least share of all customers for which an audience by segments
	// is read from rosters: it reads all rosters, and what has changed in them.
	segmentShare = 0.05
)

// A rosterAudience reads an audience from rosters where there are enough customers for it,
// and from the documents of customers otherwise. Both give the same customers in the same
// order.
type rosterAudience struct {
	Audience // reads documents
	s        *Store
	segments *push.Segments // nil: everyone
	base     segmentBase    // finds the customers of segments

	perPrefix  int // customers of a roster, about; 0: not counted yet, or rosters are not used
	counted    bool
	buildLimit int // customers that are read at once to make rosters
}

// withRosters returns an audience that also uses rosters, unless they are switched off. They
// have no attributes.
func (s *Store) withRosters(a Audience, base segmentBase, segments *push.Segments, attributes []string) Audience {
	if s.rosters == 0 || len(attributes) > 0 {
		return a
	}
	return &rosterAudience{Audience: a, s: s, segments: segments, base: base, buildLimit: buildLimit}
}

// PageSize returns how many customers a page has at most.
func (a *rosterAudience) PageSize() int { return mostRosterPage }

// ReadPage reads a page from rosters. Those that are missing are made for everyone, and left
// out for segments, whose customers are read by the index then.
func (a *rosterAudience) ReadPage(ctx context.Context, after, upto string, size int) (AudiencePage, error) {
	if err := a.count(ctx); err != nil {
		return AudiencePage{}, err
	}
	if a.perPrefix == 0 || size < leastRosterPage {
		return a.Audience.ReadPage(ctx, after, upto, min(size, a.Audience.PageSize()))
	}

	p, changed, err := a.readRosterPage(ctx, after, upto, size)
	if err != nil {
		return AudiencePage{}, classifyError(err, "reading rosters after %q", after)
	}
	if p == nil {
		return a.Audience.ReadPage(ctx, after, upto, min(size, a.Audience.PageSize()))
	}

	// A roster that cannot be stored only costs reads.
	p.Reads.RostersWritten, err = a.s.storeRosters(ctx, changed)
	if err != nil {
		slog.InfoContext(ctx, "rosters were not stored; the next mailing reads their changes again", "error", err)
	}
	return *p, nil
}

// count decides whether rosters are used, by the numbers of customers and of those that the
// segments select. The numbers are cached.
func (a *rosterAudience) count(ctx context.Context) error {
	if a.counted {
		return nil
	}

	all, err := a.s.sizeOfBase(ctx, segmentBase{"everyone", a.s.customerCollection().Query})
	if err != nil {
		return classifyError(err, "counting customers")
	}
	selected := all
	if a.segments != nil {
		if selected, err = a.s.sizeOfBase(ctx, a.base); err != nil {
			return classifyError(err, "counting the customers of segments")
		}
	}

	a.counted = true
	if all >= a.s.rosters && float64(selected) >= segmentShare*float64(all) {
		a.setPerPrefix(all / push.KeyPrefixes)
	}
	return nil
}

// setPerPrefix sets about how many customers a roster has. With too many, rosters are not used.
func (a *rosterAudience) setPerPrefix(n int) {
	if a.perPrefix = max(1, n); n > mostPerRoster {
		a.perPrefix = 0
	}
}

// choosePrefixes returns the rosters of a page that begins after a key.
func (a *rosterAudience) choosePrefixes(after, upto string, size int) []string {
	first, last := 0, push.KeyPrefixes-1
	if after != "" {
		if first = prefixNumber(rosterPrefix(after)); after == push.LastKeyWith(rosterPrefix(after)) {
			first++
		}
	}
	if upto != "" {
		last = prefixNumber(rosterPrefix(upto))
	}

	most := min(mostPrefixes, max(1, min(size, rosterPage)/a.perPrefix))
	var out []string
	for n := first; n <= last && len(out) < most; n++ {
		out = append(out, push.KeyPrefix(n))
	}
	return out
}

// readRosterPage reads the rosters of a page and what has changed in them since, at one read
// time. It returns the rosters that are worth storing. The page is nil if the customers
// have to be read another way.
func (a *rosterAudience) readRosterPage(ctx context.Context, after, upto string, size int) (p *AudiencePage, worthStoring []*roster, err error) {
	prefixes := a.choosePrefixes(after, upto, size)
	if len(prefixes) == 0 {
		return &AudiencePage{}, nil, nil
	}

	err = a.s.runTransaction(ctx, func(ctx context.Context, tx *firestore.Transaction) (err error) {
		p, worthStoring, err = a.readInTransaction(ctx, tx, prefixes)
		return err
	}, firestore.ReadOnly)
	if err != nil || p == nil {
		return nil, nil, err
	}

	p.cutMembers(selectMembers(p.Members, a.segments), after, upto, size)
	return p, worthStoring, nil
}

// readInTransaction reads whole rosters, from the first of prefixes on, for readRosterPage.
func (a *rosterAudience) readInTransaction(ctx context.Context, tx *firestore.Transaction, prefixes []string) (*AudiencePage, []*roster, error) {
	rosters, readAt, err := a.s.readRosters(ctx, tx, prefixes)
	if err != nil {
		return nil, nil, err
	}
	p := &AudiencePage{ReadAt: readAt}
	for _, r := range rosters {
		p.Reads.Rosters += max(1, r.parts)
	}

	// Either all rosters of a page are usable, or none is.
	run := 1
	for run < len(rosters) && rosters[run].usable == rosters[0].usable {
		run++
	}
	rosters = rosters[:run]
	p.Last = push.LastKeyWith(rosters[run-1].prefix)

	if rosters[0].usable {
		worthStoring, err := a.s.mergeChanges(ctx, tx, rosters, readAt, p)
		return p, worthStoring, err
	}
	if a.segments != nil {
		return nil, nil, nil
	}
	return a.buildRosters(ctx, tx, rosters, readAt, p)
}

// cutMembers makes a page of the members of whole rosters: those after a key, up to another
// one, and not more than size. p.Last is the last key of these rosters before.
func (p *AudiencePage) cutMembers(members []AudienceMember, after, upto string, size int) {
	compare := func(m AudienceMember, key string) int { return strings.Compare(m.Key, key) }
	from, found := slices.BinarySearchFunc(members, after, compare)
	if found {
		from++
	}
	to := len(members)
	if upto != "" {
		if to, found = slices.BinarySearchFunc(members, upto, compare); found {
			to++
		}
	}

	p.Members = members[from:max(from, to)]
	switch {
	case len(p.Members) > size:
		p.Members, p.Last = p.Members[:size], p.Members[size-1].Key
	case p.Last == lastKey || upto != "" && p.Last >= upto:
		p.Last = ""
	}
}

// changesPerQuery is of how many rosters one query finds the changes: so many values an "in"
// condition may have.
const changesPerQuery = valuesPerQuery

// A changedCustomer is a customer who may have changed since the roster was stored.
type changedCustomer struct {
	AudienceMember
	at time.Time
}

// readChanges reads the customers of rosters that have changed since the oldest of them was
// made, in the order of their keys.
func (s *Store) readChanges(ctx context.Context, tx *firestore.Transaction, rosters []*roster) ([]changedCustomer, error) {
	since := rosters[0].at
	var prefixes []string
	for _, r := range rosters {
		prefixes = append(prefixes, r.prefix)
		if r.at.Before(since) {
			since = r.at
		}
	}

	var changed []changedCustomer
	for part := range slices.Chunk(prefixes, changesPerQuery) {
		q := s.customerCollection().Where("prefix", "in", part).Where("changedAt", ">", since.Add(-s.slack)).
			SelectPaths(append(customerFields(nil), firestore.FieldPath{"changedAt"})...)
		snaps, err := tx.Documents(q).GetAll()
		if err != nil {
			return nil, err
		}
		for i, m := range decodeMembers(ctx, snaps) {
			at, err := snaps[i].DataAt("changedAt")
			if err != nil {
				return nil, err
			}
			changed = append(changed, changedCustomer{m, at.(time.Time)})
		}
	}

	slices.SortFunc(changed, func(a, b changedCustomer) int { return strings.Compare(a.Key, b.Key) })
	return changed, nil
}

// mergeChanges sets the members of a page: the customers of rosters, with those that have
// changed since. It returns the rosters that are worth storing, because a later mailing
// saves more by it than the write costs.
func (s *Store) mergeChanges(ctx context.Context, tx *firestore.Transaction, rosters []*roster, readAt time.Time, p *AudiencePage) (worthStoring []*roster, err error) {
	changed, err := s.readChanges(ctx, tx, rosters)
	if err != nil {
		return nil, err
	}
	p.Reads.Changes += len(changed)

	for _, r := range rosters {
		n := 0
		for n < len(changed) && rosterPrefix(changed[n].Key) == r.prefix {
			n++
		}
		members := r.mergeMembers(changed[:n])
		p.Members = append(p.Members, members...)
		if r.isWorthStoring(changed[:n], readAt.Add(-s.slack)) {
			merged := *r
			merged.at, merged.customers = readAt, make([]*push.Customer, len(members))
			for i, m := range members {
				merged.customers[i] = m.Customer
			}
			worthStoring = append(worthStoring, &merged)
		}
		changed = changed[n:]
	}

	return worthStoring, nil
}

// isWorthStoring reports whether a roster with its changes should replace the stored one. A
// change after the time until would be read again anyway. A customer who cannot be decoded
// would be missing.
func (r *roster) isWorthStoring(changed []changedCustomer, until time.Time) bool {
	saved := 0
	for _, c := range changed {
		if c.Customer == nil {
			return false
		}
		if !c.at.After(until) {
			saved++
		}
	}
	return saved >= writeCost*r.parts
}

// mergeMembers returns the customers of a roster with changes, both in the order of keys.
func (r *roster) mergeMembers(changed []changedCustomer) []AudienceMember {
	out := make([]AudienceMember, 0, len(r.customers)+len(changed))
	for _, c := range r.customers {
		key := c.DocumentKey()
		for len(changed) > 0 && changed[0].Key < key {
			out, changed = append(out, changed[0].AudienceMember), changed[1:]
		}
		if len(changed) > 0 && changed[0].Key == key {
			continue // the changed one follows
		}
		out = append(out, AudienceMember{Key: key, Customer: c})
	}
	for _, c := range changed {
		out = append(out, c.AudienceMember)
	}
	return out
}

// buildRosters sets the members of a page by reading all customers of rosters that are not
// usable, and returns the page and these rosters. If there are more customers than may be read
// at once, their number has grown since it was counted. Then the page is nil, and later pages
// have fewer rosters.
func (a *rosterAudience) buildRosters(ctx context.Context, tx *firestore.Transaction, rosters []*roster, readAt time.Time, p *AudiencePage) (*AudiencePage, []*roster, error) {
	first := rosters[0].prefix
	q := keyRange(a.s.customerCollection().Query, keyBefore(first), p.Last).SelectPaths(customerFields(nil)...).Limit(a.buildLimit)
	snaps, err := tx.Documents(q).GetAll()
	if err != nil {
		return nil, nil, err
	}
	if len(snaps) == a.buildLimit {
		last := rosterPrefix(snaps[len(snaps)-1].Ref.ID)
		a.setPerPrefix(len(snaps) / (prefixNumber(last) - prefixNumber(first) + 1))
		return nil, nil, nil
	}

	p.Reads.Customers += len(snaps)
	p.Members = decodeMembers(ctx, snaps)
	byPrefix, undecodable := groupByPrefix(p.Members)
	var built []*roster
	for _, r := range rosters {
		if !undecodable[r.prefix] {
			r.at, r.builtAt, r.customers = readAt, readAt, byPrefix[r.prefix]
			built = append(built, r)
		}
	}

	return p, built, nil
}

// groupByPrefix returns the customers of each roster, and the rosters with a customer that
// cannot be decoded.
func groupByPrefix(members []AudienceMember) (byPrefix map[string][]*push.Customer, undecodable map[string]bool) {
	byPrefix, undecodable = map[string][]*push.Customer{}, map[string]bool{}
	for _, m := range members {
		prefix := rosterPrefix(m.Key)
		if m.Customer == nil {
			undecodable[prefix] = true
			continue
		}
		byPrefix[prefix] = append(byPrefix[prefix], m.Customer)
	}
	return byPrefix, undecodable
}
