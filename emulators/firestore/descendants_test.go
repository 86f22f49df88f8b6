package firestore_test

import (
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// descendants selects all documents below the parent: of a collection id, or of any.
func descendants(id string) *pb.StructuredQuery {
	return &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: id, AllDescendants: true}}}
}

func orderBy(path string, d pb.StructuredQuery_Direction) []*pb.StructuredQuery_Order {
	return []*pb.StructuredQuery_Order{{Field: field(path), Direction: d}}
}

// TestQueriesOfDescendants: the service answers without a collection id only what SDKs ask
// to delete recursively, and a collection group only at the root.
func TestQueriesOfDescendants(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/x", 1), set("a/x/b/y", 2), set("a/x/b/y/c/z", 3))
	below := root + "/a/x"

	for name, x := range map[string]struct {
		parent string
		id     string
		change func(q *pb.StructuredQuery)
		found  int // number of documents
		want   codes.Code
	}{
		"all below a document": {parent: below, found: 2},
		"all, by name":         {parent: below, change: func(q *pb.StructuredQuery) { q.OrderBy = orderBy("__name__", pb.StructuredQuery_ASCENDING) }, found: 2},
		"all from a name on": {parent: below, change: func(q *pb.StructuredQuery) {
			q.Where = where("__name__", pb.StructuredQuery_FieldFilter_GREATER_THAN, &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: below + "/b/y"}})
		}, found: 1},
		"all of the database":               {parent: root, found: 3},
		"all, by a field":                   {parent: below, change: func(q *pb.StructuredQuery) { q.OrderBy = orderBy("n", pb.StructuredQuery_ASCENDING) }, want: codes.InvalidArgument},
		"all, by name descending":           {parent: below, change: func(q *pb.StructuredQuery) { q.OrderBy = orderBy("__name__", pb.StructuredQuery_DESCENDING) }, want: codes.InvalidArgument},
		"all with a field":                  {parent: below, change: func(q *pb.StructuredQuery) { q.Where = where("n", pb.StructuredQuery_FieldFilter_EQUAL, integer(2)) }, want: codes.InvalidArgument},
		"a collection group":                {parent: root, id: "b", found: 1},
		"a collection group below a parent": {parent: below, id: "b", want: codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := descendants(x.id)
			if x.change != nil {
				x.change(q)
			}

			answers, err := queryRequest(c, &pb.RunQueryRequest{Parent: x.parent, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: q}})

			check.Equal(t, status.Code(err).String(), x.want.String(), "code of the query (%v)", err)
			check.Equal(t, countDocuments(answers), x.found, "number of documents")
		})
	}
}

func countDocuments(answers []*pb.RunQueryResponse) (n int) {
	for _, a := range answers {
		if a.Document != nil {
			n++
		}
	}
	return n
}

func TestSumsOfDescendantsAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/x/b/y", 2))
	for name, x := range map[string]struct {
		sum  *pb.StructuredAggregationQuery_Aggregation
		want codes.Code
	}{
		"count": {&pb.StructuredAggregationQuery_Aggregation{Operator: &pb.StructuredAggregationQuery_Aggregation_Count_{Count: &pb.StructuredAggregationQuery_Aggregation_Count{}}}, codes.OK},
		"sum":   {&pb.StructuredAggregationQuery_Aggregation{Operator: &pb.StructuredAggregationQuery_Aggregation_Sum_{Sum: &pb.StructuredAggregationQuery_Aggregation_Sum{Field: field("n")}}}, codes.InvalidArgument},
		"avg":   {&pb.StructuredAggregationQuery_Aggregation{Operator: &pb.StructuredAggregationQuery_Aggregation_Avg_{Avg: &pb.StructuredAggregationQuery_Aggregation_Avg{Field: field("n")}}}, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream, err := c.RunAggregationQuery(t.Context(), &pb.RunAggregationQueryRequest{Parent: root + "/a/x",
				QueryType: &pb.RunAggregationQueryRequest_StructuredAggregationQuery{StructuredAggregationQuery: &pb.StructuredAggregationQuery{
					QueryType:    &pb.StructuredAggregationQuery_StructuredQuery{StructuredQuery: descendants("")},
					Aggregations: []*pb.StructuredAggregationQuery_Aggregation{x.sum},
				}}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			check.Equal(t, status.Code(err).String(), x.want.String(), "code of the aggregation (%v)", err)
		})
	}
}

func TestDescendantsCannotBeListenedTo(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	stream, err := c.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.ListenRequest{Database: database, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: &pb.Target{
		TargetType: &pb.Target_Query{Query: &pb.Target_QueryTarget{Parent: root + "/a/x", QueryType: &pb.Target_QueryTarget_StructuredQuery{StructuredQuery: descendants("")}}},
	}}}); err != nil {
		t.Fatal(err)
	}

	answer, err := stream.Recv()
	if err != nil {
		check.Equal(t, status.Code(err).String(), codes.InvalidArgument.String(), "code of the stream (%v)", err)
		return
	}
	change := answer.GetTargetChange()
	check.Equal(t, change.GetTargetChangeType().String(), pb.TargetChange_REMOVE.String(), "change of the target")
	check.Equal(t, codes.Code(change.GetCause().GetCode()).String(), codes.InvalidArgument.String(), "cause")
}
