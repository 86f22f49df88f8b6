package store

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/shared/push"
)

// ReadTotals returns the sums of a mailing, by customers and by tokens. Those of a
// mailing that has ended are stored with it. Otherwise they are computed by aggregation
// queries over its shards and batches in one read-only transaction, that is at one read
// time, so that they reconcile at every moment.
func (s *Store) ReadTotals(ctx context.Context, m *push.Mailing) (push.Totals, error) {
	if m.Totals != nil {
		return *m.Totals, nil
	}
	var t push.Totals
	err := s.runTransaction(ctx, func(ctx context.Context, tx *firestore.Transaction) (err error) {
		if t, err = s.sumTotals(ctx, tx, m.ID); err != nil {
			return err
		}
		if t.Platforms, t.MissingAttribute, err = s.sumPlatforms(ctx, tx, m.ID); err != nil {
			return err
		}
		t.Variants, err = s.sumVariants(ctx, tx, m)
		return err
	}, firestore.ReadOnly)
	t.Customers.Estimated = m.Estimated
	return t, classifyError(err, "computing the totals of mailing %s", m.ID)
}

// sumTotals computes the sums in a transaction. Firestore allows five aggregations in a query,
// and counts only documents that have all fields of the query. Therefore every shard and batch
// is stored with all of these fields, also if they are 0.
func (s *Store) sumTotals(ctx context.Context, tx *firestore.Transaction, mailing string) (push.Totals, error) {
	shards := s.mailingDocument(mailing).Collection("shards").Query

	a, err := sumFields(ctx, tx, shards, "targeted", "noValidToken", "optedOut", "category", "unknown")
	if err != nil {
		return push.Totals{}, err
	}
	more, err := sumFields(ctx, tx, shards, "muted", "filtered", "control")
	if err != nil {
		return push.Totals{}, err
	}
	counts := push.AudienceCounts{Targeted: a[0], Excluded: push.Excluded{NoValidToken: a[1], OptedOut: a[2], Category: a[3], Unknown: a[4], Muted: more[0], Filtered: more[1], Control: more[2]}}

	size, tally, err := s.sumTally(ctx, tx, mailing, "size", "tally")
	if err != nil {
		return push.Totals{}, err
	}
	held, err := s.sumHeldFlags(ctx, tx, mailing)
	if err != nil {
		return push.Totals{}, err
	}

	return push.NewTotals(counts, size, tally, held), nil
}

// sumTally computes the sums, over the batches of a mailing, of a field with the number of
// targets and of a tally.
func (s *Store) sumTally(ctx context.Context, tx *firestore.Transaction, mailing, size, tally string) (int64, push.Tally, error) {
	names := []string{size}
	for _, f := range tallyFields {
		names = append(names, tally+"."+f.name)
	}

	batches := s.mailingDocument(mailing).Collection("batches").Query
	first, err := sumFields(ctx, tx, batches, names[:5]...)
	if err != nil {
		return 0, push.Tally{}, err
	}
	rest, err := sumFields(ctx, tx, batches, names[5:]...)
	if err != nil {
		return 0, push.Tally{}, err
	}

	var out push.Tally
	for i, n := range append(first[1:], rest...) {
		out[tallyFields[i].result] = n
	}

	return first[0], out, nil
}

// sumHeldFlags counts the flags of a mailing that wait for evidence, by code.
func (s *Store) sumHeldFlags(ctx context.Context, tx *firestore.Transaction, mailing string) (map[string]int64, error) {
	var names []string
	for _, f := range heldFields {
		names = append(names, "held."+f.name)
	}

	sums, err := sumFields(ctx, tx, s.mailingDocument(mailing).Collection("batches").Query, names...)
	if err != nil {
		return nil, err
	}

	out := map[string]int64{}
	for i, f := range heldFields {
		out[f.code] = sums[i]
	}

	return out, nil
}

// sumFields computes the sum of each field over the documents of a query, at most five
// fields. tx is nil outside of a transaction.
func sumFields(ctx context.Context, tx *firestore.Transaction, q firestore.Query, fields ...string) ([]int64, error) {
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

// countDocuments counts the documents of a query. It costs one read for each 1,000.
func (s *Store) countDocuments(ctx context.Context, q firestore.Query) (int, error) {
	return countWith(ctx, q.NewAggregationQuery())
}

// countWith runs an aggregation query that counts.
func countWith(ctx context.Context, q *firestore.AggregationQuery) (int, error) {
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

// MarkMailingDispatched reports whether no shard of a mailing is open, and then records that
// every shard has all its batches (Dispatched). For a mailing without shards, which has not
// started, it returns true and records nothing.
func (s *Store) MarkMailingDispatched(ctx context.Context, id string) (bool, error) {
	// Counted, not listed: a shard that cannot be decoded counts as open.
	open, err := s.countDocuments(ctx, s.openShardsQuery(id))
	if err != nil || open > 0 {
		return false, classifyError(err, "counting open shards of mailing %s", id)
	}
	_, err = s.changeState(ctx, id, func(m *push.Mailing) error {
		if m.Dispatched || m.Shards == 0 {
			return errUnchanged
		}
		m.Dispatched = true
		return nil
	})
	return err == nil, err
}

// FreezeMailing stores the totals of a mailing when nothing of it is left to do: it
// has ended or every shard has all its batches, and every batch is settled. It
// returns the mailing if this call stored them, else nil. The caller publishes
// mailing.completed then, and calls MarkCompletedPublished. If it crashes before,
// tick does both.
//
// Call it after a batch was settled, and after the last shard was done: the mailing
// is read after that write, so that of two such calls at the same time at least one
// sees both.
func (s *Store) FreezeMailing(ctx context.Context, id string) (*push.Mailing, error) {
	m, err := s.ReadMailingHeader(ctx, id)
	if err != nil || !m.CanFinish() || m.Totals != nil {
		return nil, err
	}

	// The shards are ended first, because a batch that is created after the totals are stored
	// would not be counted.
	if !m.Dispatched {
		if err := s.endShards(ctx, id); err != nil {
			return nil, err
		}
	}
	open, err := s.countUnsettled(ctx, id)
	if err != nil || open > 0 {
		return nil, err
	}
	return s.freezeTotals(ctx, m)
}

// freezeTotals stores the totals of a mailing. It returns the mailing if this call stored them,
// else nil. No batch is open and none is created, so the sums do not change any more. They
// are computed before the transaction, which then locks only the mailing. If the mailing was
// not paused by hand, the reason of the pause stays, so that an operator can still read it.
func (s *Store) freezeTotals(ctx context.Context, of *push.Mailing) (*push.Mailing, error) {
	id := of.ID
	totals, err := s.ReadTotals(ctx, of)
	if err != nil || totals.Tokens.Pending > 0 {
		return nil, err
	}
	if !of.Dispatched {
		if totals.Customers.NotReached, err = s.countNotReached(ctx, id); err != nil {
			return nil, err
		}
	}

	if totals.Apps, err = s.sumAppTotals(ctx, id, totals.Tokens.AppTally()); err != nil {
		return nil, classifyError(err, "adding up the apps of mailing %s", id)
	}

	// The transaction checks again: another call may have stored the totals, or a person may
	// have resumed the mailing, since the sums were computed.
	m, err := s.updateMailing(ctx, id, func(m *push.Mailing, _ *firestore.Transaction) error {
		if m.Totals != nil || !m.CanFinish() {
			return errUnchanged
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
	if errors.Is(err, errUnchanged) {
		return nil, nil
	}
	if err != nil {
		return nil, classifyStateError(err, id)
	}

	return m, nil
}

// MarkCompletedPublished records that mailing.completed was published: tick has
// nothing left to do for the mailing.
func (s *Store) MarkCompletedPublished(ctx context.Context, id string) error {
	_, err := s.changeState(ctx, id, func(m *push.Mailing) error {
		if !m.Active || m.Totals == nil {
			return errUnchanged
		}
		m.Active = false
		return nil
	})
	return err
}
