package store

import (
	"context"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// A keySpan is a range of customers' keys: greater than after, not greater than upto
// ("": no end).
type keySpan struct{ after, upto string }

// countNotReached counts the customers of the audience of a mailing that are behind the last
// cursor of dispatch. Call it after endShards, because then no cursor moves any more. A
// mailing that never started has no shards: its whole audience counts.
//
// It costs one read for each 1,000 customers; with segments that several conditions
// select, one read for each customer that the first condition finds.
func (s *Store) countNotReached(ctx context.Context, id string) (int64, error) {
	m, err := s.ReadMailing(ctx, id)
	if err != nil {
		return 0, err
	}
	spans, err := s.spansNotReached(ctx, m)
	if err != nil || len(spans) == 0 {
		return 0, err
	}
	audience, err := s.OpenAudience(ctx, m)
	if err != nil {
		return 0, err
	}

	var sum int64
	for _, span := range spans {
		n, err := audience.CountRange(ctx, span.after, span.upto)
		if err != nil {
			return 0, err
		}
		sum += int64(n)
	}

	return sum, nil
}

// spansNotReached returns the ranges of keys after the cursors of the shards that were
// ended early.
func (s *Store) spansNotReached(ctx context.Context, m *push.Mailing) ([]keySpan, error) {
	if m.Shards == 0 {
		return []keySpan{{}}, nil
	}
	q := s.mailingDocument(m.ID).Collection("shards").Where("endedEarly", "==", true).Select("after", "upto")
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "listing the shards of mailing %s that were ended early", m.ID)
	}

	var spans []keySpan
	for _, snap := range snaps {
		var d shardDoc
		if err := snap.DataTo(&d); err != nil {
			return nil, classifyError(err, "decoding shard %s of mailing %s", snap.Ref.ID, m.ID)
		}
		spans = append(spans, keySpan{d.After, d.Upto})
	}

	return spans, nil
}

// CountRange counts all customers of a range of keys.
func (e everyoneAudience) CountRange(ctx context.Context, after, upto string) (int, error) {
	n, err := e.s.countRange(ctx, e.s.customerCollection().Query, after, upto)
	return n, classifyError(err, "counting customers after %q", after)
}

// CountRange counts the listed customers of a range of keys. It reads nothing.
func (a *listedAudience) CountRange(_ context.Context, after, upto string) (int, error) {
	return len(a.keysOf(after, upto)), nil
}

// CountRange counts the customers of a range of keys that the segments select.
func (g *segmentAudience) CountRange(ctx context.Context, after, upto string) (int, error) {
	if g.sel.OneCondition() {
		n, err := g.s.countRange(ctx, g.base.query, after, upto)
		return n, classifyError(err, "counting the customers of segments after %q", after)
	}

	// An aggregation cannot combine conditions on one array, so the segments are read.
	const page = 1000
	n := 0
	for {
		snaps, err := keyRange(g.base.query, after, upto).Select("segments").Limit(page).Documents(ctx).GetAll()
		if err != nil {
			return 0, classifyError(err, "counting the customers of segments after %q", after)
		}
		for _, snap := range snaps {
			if g.selectsCustomer(snap) {
				n++
			}
		}
		if len(snaps) < page {
			return n, nil
		}
		after = snaps[page-1].Ref.ID
	}
}

// countRange counts the documents of a query in a range of keys. An aggregation over
// millions of documents may take longer than Firestore allows, so that many are counted
// in parts.
func (s *Store) countRange(ctx context.Context, q firestore.Query, after, upto string) (int, error) {
	n, err := s.countDocuments(ctx, keyRange(q, after, upto).Limit(countedAtOnce))
	if err != nil || n < countedAtOnce {
		return n, err
	}
	return s.countInParts(ctx, q, after, upto)
}

// countInParts counts the documents of a range of keys, those of each first digit of a
// key alone.
func (s *Store) countInParts(ctx context.Context, q firestore.Query, after, upto string) (int, error) {
	sum := 0
	for _, digit := range push.KeyDigits {
		end := string(digit)
		if end <= after {
			continue
		}
		last := upto != "" && end >= upto
		if last {
			end = upto
		}
		n, err := s.countDocuments(ctx, keyRange(q, after, end))
		if err != nil {
			return 0, err
		}
		sum += n
		if after = end; last {
			return sum, nil
		}
	}

	n, err := s.countDocuments(ctx, keyRange(q, after, upto))
	return sum + n, err
}

// countedAtOnce is how many documents one aggregation counts.
const countedAtOnce = 200_000
