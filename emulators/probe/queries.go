package probe

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	sdk "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/genproto/googleapis/type/latlng"
)

// writeMixed writes a document with a value of each type, once. The ids are in the documented
// order of the types.
func (s *scratch) writeMixed(ctx context.Context) error {
	if s.hasMixed {
		return nil
	}
	all := map[string]doc{"mixed-none": {"w": 1}}
	for i, v := range []any{
		nil, false, true, math.NaN(), math.Inf(-1), -1, 0, 1.5, 1000, time.Unix(1, 0), "", "a", []byte{}, []byte{1},
		s.collection.Doc("a"), &latlng.LatLng{Latitude: 1}, []any{}, []any{1}, []any{"a"}, sdk.Vector64{5}, sdk.Vector64{1, 2}, doc{}, doc{"a": 1},
	} {
		all[fmt.Sprintf("mixed-%02d", i)] = doc{"v": v, "group": "mixed"}
	}

	err := s.setAll(ctx, all)
	s.hasMixed = err == nil
	return err
}

// query returns an operation that runs a query. Its documents have the field v, which no
// other operation writes.
func query(name string, make func(*sdk.CollectionRef) sdk.Query) operation {
	return operation{name: name, run: func(ctx context.Context, s *scratch) (string, error, error) {
		if err := s.writeMixed(ctx); err != nil {
			return "", nil, err
		}
		found, refusal := make(s.collection).Documents(ctx).GetAll()
		return idsOf(found), refusal, nil
	}}
}

// idsOf joins the ids of documents, without their common beginning.
func idsOf(found []*sdk.DocumentSnapshot) string {
	var ids []string
	for _, snap := range found {
		ids = append(ids, strings.TrimPrefix(snap.Ref.ID, "mixed-"))
	}
	return strings.Join(ids, " ")
}

// queryOperations ask for the order of types, for lists with null and NaN, for limits, and
// for queries that need an index.
func queryOperations() []operation {
	disjunctions := make([]int, 31)
	for i := range disjunctions {
		disjunctions[i] = i
	}
	all := []operation{
		query("order of types", func(c *sdk.CollectionRef) sdk.Query { return c.OrderBy("v", sdk.Asc) }),
		query("order of types, descending", func(c *sdk.CollectionRef) sdk.Query { return c.OrderBy("v", sdk.Desc) }),
		query("range of numbers", func(c *sdk.CollectionRef) sdk.Query { return c.Where("v", ">=", -1) }),
		query("not equal", func(c *sdk.CollectionRef) sdk.Query { return c.Where("v", "!=", 0) }),
		query("in a list with NaN and null", func(c *sdk.CollectionRef) sdk.Query {
			return c.Where("v", "in", []any{math.NaN(), nil, "a"})
		}),
		query("not in a list with null", func(c *sdk.CollectionRef) sdk.Query { return c.Where("v", "not-in", []any{nil, 1}) }),
		query("31 disjunctions", func(c *sdk.CollectionRef) sdk.Query { return c.Where("v", "in", disjunctions) }),
		query("two array-contains", func(c *sdk.CollectionRef) sdk.Query {
			return c.Where("v", "array-contains", 1).Where("w", "array-contains", 1)
		}),
		query("two equalities without an index", func(c *sdk.CollectionRef) sdk.Query {
			return c.Where("v", "==", "a").Where("group", "==", "mixed")
		}),
		query("equality and order without an index", func(c *sdk.CollectionRef) sdk.Query {
			return c.Where("group", "==", "mixed").OrderBy("v", sdk.Asc)
		}),
		query("two ranges without an index", func(c *sdk.CollectionRef) sdk.Query {
			return c.Where("v", ">", 1).Where("group", ">", "a")
		}),
	}
	return append(all,
		operation{name: "field of a collection group without an index", run: func(ctx context.Context, s *scratch) (string, error, error) {
			found, refusal := s.client.CollectionGroup(s.collection.ID).Where("v", "==", "a").Documents(ctx).GetAll()
			return idsOf(found), refusal, nil
		}},
		operation{name: "read of two hours ago", note: "with point-in-time recovery a database reads the last seven days", run: func(ctx context.Context, s *scratch) (string, error, error) {
			refusal := s.client.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
				_, err := tx.GetAll([]*sdk.DocumentRef{s.collection.Doc("first")})
				return err
			}, sdk.TransactionReadTime(time.Now().Add(-2*time.Hour).Truncate(time.Minute)))
			return "", refusal, nil
		}})
}

// aggregations ask for counts, sums and averages.
func aggregations() []operation {
	aggregate := func(name string, make func(*sdk.CollectionRef) *sdk.AggregationQuery) operation {
		return operation{name: name, run: func(ctx context.Context, s *scratch) (string, error, error) {
			if err := s.writeMixed(ctx); err != nil {
				return "", nil, err
			}
			found, refusal := make(s.collection).Get(ctx)
			return describeSums(found), refusal, nil
		}}
	}
	return []operation{
		aggregate("count of a filter", func(c *sdk.CollectionRef) *sdk.AggregationQuery {
			q := c.Where("group", "==", "mixed")
			return q.NewAggregationQuery().WithCount("n")
		}),
		aggregate("sum and average of numbers", func(c *sdk.CollectionRef) *sdk.AggregationQuery {
			q := c.Where("v", ">=", -1)
			return q.NewAggregationQuery().WithSum("v", "s").WithAvg("v", "a")
		}),
		aggregate("sum and average of mixed types", func(c *sdk.CollectionRef) *sdk.AggregationQuery {
			return c.NewAggregationQuery().WithSum("v", "s").WithAvg("v", "a")
		}),
		aggregate("sum and average of nothing", func(c *sdk.CollectionRef) *sdk.AggregationQuery {
			q := c.Where("v", "==", "nothing")
			return q.NewAggregationQuery().WithSum("v", "s").WithAvg("v", "a")
		}),
		aggregate("sums of two fields without an index", func(c *sdk.CollectionRef) *sdk.AggregationQuery {
			return c.NewAggregationQuery().WithSum("v", "s").WithSum("w", "t")
		}),
	}
}

// describeSums returns the results of an aggregation with their types, sorted by name.
func describeSums(found sdk.AggregationResult) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		parts = append(parts, name+"="+describeSum(found[name]))
	}
	return strings.Join(parts, " ")
}

func describeSum(value any) string {
	v, ok := value.(*pb.Value)
	if !ok {
		return fmt.Sprintf("%T", value)
	}
	switch v := v.GetValueType().(type) {
	case *pb.Value_IntegerValue:
		return fmt.Sprintf("integer %d", v.IntegerValue)
	case *pb.Value_DoubleValue:
		return fmt.Sprintf("double %g", v.DoubleValue)
	case *pb.Value_NullValue:
		return "null"
	}
	return fmt.Sprintf("%T", v.GetValueType())
}
