package firestore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"carillon.example/emulators/firestore"
)

func TestAnEmptyResultHasAReadTimeAndSkippedOnesAreCounted(t *testing.T) {
	t.Parallel()
	c, s := wire(t, firestore.Options{})
	rs, err := query(c, &pb.StructuredQuery{From: from("a")})
	if err != nil {
		t.Errorf("empty result: %v", err)
	} else if len(rs) != 1 {
		t.Errorf("empty result: %d responses, want 1", len(rs))
	} else if rs[0].ReadTime == nil {
		t.Errorf("empty result: no read time, want one")
	} else if rs[0].Document != nil {
		t.Errorf("empty result: document %v, want none", rs[0].Document)
	}
	mustCommit(t, c, set("a/1", 1), set("a/2", 2), set("a/3", 3))
	rs, err = query(c, &pb.StructuredQuery{From: from("a"), Offset: 2})
	skipped := int32(0)
	for _, r := range rs {
		skipped += r.SkippedResults
	}
	if err != nil {
		t.Errorf("offset 2: %v", err)
	} else if len(rs) != 2 {
		t.Errorf("offset 2: %d responses, want 2", len(rs))
	} else if skipped != 2 {
		t.Errorf("offset 2: %d results skipped, want 2", skipped)
	}
	if got := s.Usage().Reads; got != 1+3 {
		t.Errorf("billed %d reads, want 1 for nothing found and 3 for one found and two skipped", got)
	}
}

func TestBilledOperations(t *testing.T) {
	t.Parallel()
	c, s := wire(t, firestore.Options{})
	var ws []*pb.Write
	for i := range 1001 {
		ws = append(ws, set(fmt.Sprint("a/", i), int64(i)))
	}
	mustCommit(t, c, ws...)
	bills := func(what string, want firestore.Usage, f func() error) {
		t.Helper()
		before := s.Usage()
		if err := f(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		after := s.Usage()
		got := firestore.Usage{Reads: after.Reads - before.Reads, Writes: after.Writes - before.Writes, Deletes: after.Deletes - before.Deletes}
		if got != want {
			t.Errorf("%s bills %+v, want %+v", what, got, want)
		}
	}
	bills("query of 10", firestore.Usage{Reads: 10}, func() error {
		_, err := query(c, &pb.StructuredQuery{From: from("a"), Limit: wrapperspb.Int32(10)})
		return err
	})
	bills("missing document", firestore.Usage{Reads: 1}, func() error {
		st, err := c.BatchGetDocuments(t.Context(), &pb.BatchGetDocumentsRequest{Database: database, Documents: []string{root + "/a/none"}})
		if err != nil {
			return err
		}
		_, err = st.Recv()
		return err
	})
	bills("count of 1,001", firestore.Usage{Reads: 2}, func() error { _, err := count(c, "a"); return err })
	bills("count of none", firestore.Usage{Reads: 1}, func() error { _, err := count(c, "none"); return err })
	bills("commit", firestore.Usage{Writes: 1, Deletes: 1}, func() error {
		_, err := commit(t, c, nil, set("a/1", 7), set("a/1", 8), &pb.Write{Operation: &pb.Write_Delete{Delete: root + "/a/2"}})
		return err
	})
	bills("refused commit", firestore.Usage{}, func() error {
		w := set("a/1", 9)
		w.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}}
		if _, err := commit(t, c, nil, set("a/3", 1), w); err == nil {
			return errors.New("the commit was carried out")
		}
		return nil
	})
}

func count(c pb.FirestoreClient, id string) (int64, error) {
	st, err := c.RunAggregationQuery(context.Background(), &pb.RunAggregationQueryRequest{Parent: root, QueryType: &pb.RunAggregationQueryRequest_StructuredAggregationQuery{
		StructuredAggregationQuery: &pb.StructuredAggregationQuery{
			QueryType:    &pb.StructuredAggregationQuery_StructuredQuery{StructuredQuery: &pb.StructuredQuery{From: from(id)}},
			Aggregations: []*pb.StructuredAggregationQuery_Aggregation{{Alias: "n", Operator: &pb.StructuredAggregationQuery_Aggregation_Count_{Count: &pb.StructuredAggregationQuery_Aggregation_Count{}}}},
		},
	}})
	if err != nil {
		return 0, err
	}
	r, err := st.Recv()
	return r.GetResult().GetAggregateFields()["n"].GetIntegerValue(), err
}
