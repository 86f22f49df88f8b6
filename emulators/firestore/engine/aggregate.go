package engine

import (
	"context"
	"fmt"
	"math"
	"math/big"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

const (
	maxAggregations = 5
	entriesARead    = 1000 // number of index entries that are billed as one read
)

// An Aggregation is a checked StructuredAggregationQuery.
type Aggregation struct {
	query *Query
	sums  []*accumulator
}

// An accumulator computes one aggregation of the query.
type accumulator struct {
	alias string
	path  fieldPath // nil for a count
	avg   bool
	upTo  int64 // limit of a count; 0 for no limit

	rows, numbers int64
	ints          big.Int
	double        float64 // the sum of the doubles; lost is its rounding error
	lost          float64
	isDouble      bool
}

// NewAggregation checks an aggregation over the documents of a query. Documents
// that lack a summed or averaged field are not counted.
func NewAggregation(parent string, saq *pb.StructuredAggregationQuery) (*Aggregation, error) {
	if n := len(saq.GetAggregations()); n < 1 || n > maxAggregations {
		return nil, invalidArgument("The number of aggregations must be between 1 and %d, it is %d.", maxAggregations, n)
	}
	q, err := NewQuery(parent, saq.GetStructuredQuery())
	if err != nil {
		return nil, err
	}
	if q.nearest != nil {
		return nil, invalidArgument("Aggregations of a vector search are not possible.")
	}

	a := &Aggregation{query: q}
	seen := map[string]bool{}
	for i, x := range saq.GetAggregations() {
		s, err := newAccumulator(x, i)
		if err != nil {
			return nil, err
		}
		if seen[s.alias] {
			return nil, invalidArgument("Aggregation alias %q appears more than once.", s.alias)
		}
		seen[s.alias] = true
		a.sums = append(a.sums, s)
		if s.path != nil && q.isKindless() {
			return nil, invalidArgument("kind is required for aggregations of a field: %s", s.path)
		}
		if s.path != nil {
			q.required = append(q.required, s.path)
		}
	}

	return a, nil
}

func newAccumulator(a *pb.StructuredAggregationQuery_Aggregation, i int) (*accumulator, error) {
	s := &accumulator{alias: a.GetAlias()}
	if s.alias == "" {
		s.alias = fmt.Sprintf("field_%d", i+1)
	}

	var err error
	switch x := a.GetOperator().(type) {
	case *pb.StructuredAggregationQuery_Aggregation_Count_:
		if up := x.Count.GetUpTo(); up != nil {
			if s.upTo = up.GetValue(); s.upTo <= 0 {
				return nil, invalidArgument("up_to must be greater than zero.")
			}
		}
	case *pb.StructuredAggregationQuery_Aggregation_Sum_:
		s.path, err = parseFieldPath(x.Sum.GetField().GetFieldPath())
	case *pb.StructuredAggregationQuery_Aggregation_Avg_:
		s.avg = true
		s.path, err = parseFieldPath(x.Avg.GetField().GetFieldPath())
	default:
		return nil, invalidArgument("Aggregation has no operator.")
	}

	return s, err
}

// Aggregate reads the documents of the query and returns the results by alias.
func (db *Database) Aggregate(ctx context.Context, a *Aggregation, r Read) (map[string]*pb.Value, Snapshot, error) {
	if err := db.engine.opt.IndexRules.checkQuery(a.query, a.query.required); err != nil {
		return nil, Snapshot{}, err
	}
	snap, err := db.openRead(ctx, r, &reading{query: a.query})
	if err != nil {
		return nil, snap, err
	}

	var entries int64
	err = db.eachResult(ctx, a.query, snap.at, func(w row, skipped bool) bool {
		entries++
		if !skipped {
			for _, s := range a.sums {
				s.addVersion(w.v)
			}
		}
		return !a.limitsReached()
	})
	if err != nil {
		return nil, snap, err
	}

	db.engine.bill(ctx, max(1, (entries+entriesARead-1)/entriesARead), 0, 0)
	out := map[string]*pb.Value{}
	for _, s := range a.sums {
		out[s.alias] = s.resultValue()
	}
	return out, snap, nil
}

// limitsReached reports whether all aggregations are counts that have reached
// their limit.
func (a *Aggregation) limitsReached() bool {
	for _, s := range a.sums {
		if s.upTo == 0 || s.rows < s.upTo {
			return false
		}
	}
	return true
}

func (s *accumulator) addVersion(v *version) {
	s.rows++
	if s.path == nil {
		return
	}

	value, _ := v.body.valueAt(s.path)
	switch x := value.GetValueType().(type) {
	case *pb.Value_IntegerValue:
		s.numbers++
		s.ints.Add(&s.ints, big.NewInt(x.IntegerValue))
	case *pb.Value_DoubleValue:
		s.numbers++
		s.isDouble = true
		s.addDouble(x.DoubleValue)
	}
}

// addDouble sums with Neumaier's compensation, so that the order of the
// documents does not change the last digits.
func (s *accumulator) addDouble(d float64) {
	t := s.double + d
	switch {
	case math.IsInf(t, 0) || math.IsNaN(t):
		s.lost = 0
	case math.Abs(s.double) >= math.Abs(d):
		s.lost += (s.double - t) + d
	default:
		s.lost += (d - t) + s.double
	}
	s.double = t
}

func (s *accumulator) moveIntsIntoDouble() float64 {
	f, _ := new(big.Float).SetInt(&s.ints).Float64()
	if s.ints.Sign() != 0 {
		s.addDouble(f)
		s.ints.SetInt64(0)
	}
	return s.double + s.lost
}

// resultValue returns the result. A sum of integers is an integer while it fits.
// An average is a double, or null when there are no numbers.
func (s *accumulator) resultValue() *pb.Value {
	switch {
	case s.path == nil:
		if s.upTo > 0 {
			return intValue(min(s.rows, s.upTo))
		}
		return intValue(s.rows)
	case s.avg && s.numbers == 0:
		return nullValue
	case s.avg:
		return doubleValue(s.moveIntsIntoDouble() / float64(s.numbers))
	case !s.isDouble && s.ints.IsInt64():
		return intValue(s.ints.Int64())
	}

	return doubleValue(s.moveIntsIntoDouble())
}
