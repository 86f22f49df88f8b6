package store

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/shared/push"
)

// Totals adds up where every customer and every token of a mailing went: the
// frozen sums of an ended mailing, else aggregation queries over its shards and
// batches at one read time, so that they reconcile at every moment.
func (s *Store) Totals(ctx context.Context, m *push.Mailing) (push.Totals, error) {
	if m.Totals != nil {
		return *m.Totals, nil
	}
	var t push.Totals
	err := s.transact(ctx, func(ctx context.Context, tx *firestore.Transaction) (err error) {
		t, err = s.sums(ctx, tx, m.ID)
		return err
	}, firestore.ReadOnly)
	return t, classify(err, "adding up mailing %s", m.ID)
}

// sums adds up within a transaction. A query carries five aggregations at
// most, and a sum counts only documents that have all of its query's fields:
// both are always written in full.
func (s *Store) sums(ctx context.Context, tx *firestore.Transaction, mailing string) (push.Totals, error) {
	shards := s.mailing(mailing).Collection("shards").Query
	batches := s.mailing(mailing).Collection("batches").Query
	a, err := sum(ctx, tx, shards, "targeted", "noValidToken", "optedOut", "category", "unknown")
	if err != nil {
		return push.Totals{}, err
	}
	more, err := sum(ctx, tx, shards, "muted")
	if err != nil {
		return push.Totals{}, err
	}
	names := []string{"size"}
	for _, f := range tallyFields {
		names = append(names, "tally."+f.name)
	}
	b, err := sum(ctx, tx, batches, names[:5]...)
	if err != nil {
		return push.Totals{}, err
	}
	c, err := sum(ctx, tx, batches, names[5:]...)
	if err != nil {
		return push.Totals{}, err
	}
	held, err := s.heldFlags(ctx, tx, mailing)
	if err != nil {
		return push.Totals{}, err
	}
	var tally push.Tally
	for i, n := range append(b[1:], c...) {
		tally[tallyFields[i].result] = n
	}
	audited := push.AudienceCounts{Targeted: a[0], Excluded: push.Excluded{NoValidToken: a[1], OptedOut: a[2], Category: a[3], Unknown: a[4], Muted: more[0]}}
	return push.NewTotals(audited, b[0], tally, held), nil
}

// heldFlags counts the flags of a mailing that wait for evidence, by code.
func (s *Store) heldFlags(ctx context.Context, tx *firestore.Transaction, mailing string) (map[string]int64, error) {
	var names []string
	for _, f := range heldFields {
		names = append(names, "held."+f.name)
	}
	sums, err := sum(ctx, tx, s.mailing(mailing).Collection("batches").Query, names...)
	if err != nil {
		return nil, err
	}

	out := map[string]int64{}
	for i, f := range heldFields {
		out[f.code] = sums[i]
	}
	return out, nil
}

func sum(ctx context.Context, tx *firestore.Transaction, q firestore.Query, fields ...string) ([]int64, error) {
	agg := q.NewAggregationQuery()
	if tx != nil {
		agg = agg.Transaction(tx)
	}
	for i, f := range fields {
		agg = agg.WithSum(f, fmt.Sprint("s", i))
	}
	res, err := agg.Get(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]int64, len(fields))
	for i := range fields {
		v, ok := res[fmt.Sprint("s", i)].(*pb.Value)
		if !ok {
			return nil, fmt.Errorf("the sum of %s is missing from the answer", fields[i])
		}
		out[i] = v.GetIntegerValue()
	}
	return out, nil
}

func (s *Store) count(ctx context.Context, q firestore.Query) (int, error) {
	return countIn(ctx, q.NewAggregationQuery())
}

func countIn(ctx context.Context, q *firestore.AggregationQuery) (int, error) {
	res, err := q.WithCount("n").Get(ctx)
	if err != nil {
		return 0, err
	}
	v, ok := res["n"].(*pb.Value)
	if !ok {
		return 0, errors.New("the count is missing from the answer")
	}
	return int(v.GetIntegerValue()), nil
}

// MarkDispatched records that every shard of a mailing is cut, if so, and
// answers whether it is.
func (s *Store) MarkDispatched(ctx context.Context, id string) (bool, error) {
	// Counted, not listed: a shard that does not decode is not cut either.
	open, err := s.count(ctx, s.openShards(id))
	if err != nil || open > 0 {
		return false, classify(err, "counting open shards of mailing %s", id)
	}
	_, err = s.become(ctx, id, func(m *push.Mailing) error {
		if m.Dispatched || m.Shards == 0 {
			return errKeep
		}
		m.Dispatched = true
		return nil
	})
	return err == nil, err
}

// Finish freezes the totals of a mailing when nothing of it is left to do: it
// was cut whole, or it ended otherwise, and every batch is settled. The mailing is
// read after the caller has settled a batch: either we see that it was cut whole,
// or dispatch sees that no batch is open. Cutting is
// stopped first: what is cut after the sums were frozen would be in none. Then
// it tells the end and records that it was told. Whoever settles something last
// calls it; only one call tells, and one that dies before it could leaves the
// telling to the next.
func (s *Store) FinishMailing(ctx context.Context, id string, tell func(context.Context, ...push.Event) error) (*push.Mailing, error) {
	m, err := s.MailingHeader(ctx, id)
	if err != nil || !m.Finishable() || m.Totals != nil {
		return nil, err
	}
	if !m.Dispatched {
		if err := s.endShards(ctx, id); err != nil {
			return nil, err
		}
	}
	open, err := s.CountOpen(ctx, id)
	if err != nil || open > 0 {
		return nil, err
	}
	m, err = s.freeze(ctx, id)
	if err != nil || m == nil {
		return nil, err
	}
	if err := tell(ctx, push.CompletedEvent(m)); err != nil {
		return nil, err
	}
	return m, s.told(ctx, id)
}

// freeze answers the mailing when this call froze its totals, else nil. The sums
// are added up before the transaction, which then locks the mailing alone, not
// its batches: once nothing is cut any more and no batch is open, no sum changes.
// Why our own fault held the mailing stays to be read: the last answers of FCM may
// be the very ones that told of it.
func (s *Store) freeze(ctx context.Context, id string) (*push.Mailing, error) {
	totals, err := s.Totals(ctx, &push.Mailing{ID: id})
	if err != nil || totals.Tokens.Pending > 0 {
		return nil, err
	}
	m, err := s.change(ctx, id, func(m *push.Mailing, _ *firestore.Transaction) error {
		if m.Totals != nil || !m.Finishable() {
			return errKeep
		}
		if !m.State.Final() {
			m.State, m.PausedFrom = push.Completed, ""
			if m.PausedReason == push.PausedByHand {
				m.PausedReason = ""
			}
		}
		m.Totals, m.CompletedAt = &totals, s.now()
		return nil
	})
	if errors.Is(err, errKeep) {
		return nil, nil
	}
	if err != nil {
		return nil, classifyLife(err, id)
	}
	return m, nil
}

// PublishCompleted tells the end of a mailing whose totals are frozen but whose teller
// died.
func (s *Store) PublishCompleted(ctx context.Context, m *push.Mailing, tell func(context.Context, ...push.Event) error) error {
	if m.Totals == nil || !m.Active {
		return nil
	}
	if err := tell(ctx, push.CompletedEvent(m)); err != nil {
		return err
	}
	return s.told(ctx, m.ID)
}

// told records that the end of a mailing has been told: tick need not look
// after it any more.
func (s *Store) told(ctx context.Context, id string) error {
	_, err := s.become(ctx, id, func(m *push.Mailing) error {
		if !m.Active || m.Totals == nil {
			return errKeep
		}
		m.Active = false
		return nil
	})
	return err
}
