package firestore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	sdk "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"

	"carillon.example/emulators/firestore"
)

// The wire tests use the protocol directly, for requests that the Go client never sends.

const (
	database = "projects/p/databases/(default)"
	root     = database + "/documents"
)

func wire(t testing.TB, o firestore.Options) (pb.FirestoreClient, *firestore.Server) {
	s := start(t, o)
	return pb.NewFirestoreClient(dial(t, s.Addr())), s
}

func integer(n int64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}}
}

func set(path string, n int64) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: root + "/" + path, Fields: map[string]*pb.Value{"n": integer(n)}}}}
}

func commit(t testing.TB, c pb.FirestoreClient, tx []byte, ws ...*pb.Write) (*pb.CommitResponse, error) {
	t.Helper()
	return c.Commit(context.Background(), &pb.CommitRequest{Database: database, Transaction: tx, Writes: ws})
}

func mustCommit(t testing.TB, c pb.FirestoreClient, ws ...*pb.Write) *pb.CommitResponse {
	t.Helper()
	r, err := commit(t, c, nil, ws...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func begin(t testing.TB, c pb.FirestoreClient, o *pb.TransactionOptions) []byte {
	t.Helper()
	r, err := c.BeginTransaction(context.Background(), &pb.BeginTransactionRequest{Database: database, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	return r.Transaction
}

func get(c pb.FirestoreClient, path string, tx []byte) (*pb.Document, error) {
	r := &pb.GetDocumentRequest{Name: root + "/" + path}
	if tx != nil {
		r.ConsistencySelector = &pb.GetDocumentRequest_Transaction{Transaction: tx}
	}
	return c.GetDocument(context.Background(), r)
}

func query(c pb.FirestoreClient, q *pb.StructuredQuery) ([]*pb.RunQueryResponse, error) {
	return queryRequest(c, &pb.RunQueryRequest{Parent: root, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: q}})
}

func queryRequest(c pb.FirestoreClient, r *pb.RunQueryRequest) ([]*pb.RunQueryResponse, error) {
	st, err := c.RunQuery(context.Background(), r)
	if err != nil {
		return nil, err
	}
	var out []*pb.RunQueryResponse
	for {
		r, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
}

func from(id string) []*pb.StructuredQuery_CollectionSelector {
	return []*pb.StructuredQuery_CollectionSelector{{CollectionId: id}}
}

func field(path string) *pb.StructuredQuery_FieldReference {
	return &pb.StructuredQuery_FieldReference{FieldPath: path}
}

func where(path string, op pb.StructuredQuery_FieldFilter_Operator, v *pb.Value) *pb.StructuredQuery_Filter {
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{Field: field(path), Op: op, Value: v}}}
}

func TestSingleDocumentMethods(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	ctx := t.Context()
	create := &pb.CreateDocumentRequest{Parent: root, CollectionId: "a", DocumentId: "x", Document: &pb.Document{Fields: map[string]*pb.Value{"n": integer(1)}}}
	if d, err := c.CreateDocument(ctx, create); err != nil {
		t.Fatalf("create: %v", err)
	} else if d.Name != root+"/a/x" {
		t.Fatalf("the created document is %q, want %q", d.Name, root+"/a/x")
	}
	_, err := c.CreateDocument(ctx, create)
	wantCode(t, "second create", err, codes.AlreadyExists)
	create.DocumentId = ""
	if d, err := c.CreateDocument(ctx, create); err != nil {
		t.Errorf("create with an id of the service: %v", err)
	} else if len(d.GetName()) != len(root+"/a/")+20 {
		t.Errorf("the created document is %q, want an id of 20 characters", d.GetName())
	}
	up := &pb.UpdateDocumentRequest{
		Document:   &pb.Document{Name: root + "/a/x", Fields: map[string]*pb.Value{"m": integer(2)}},
		UpdateMask: &pb.DocumentMask{FieldPaths: []string{"m"}}, Mask: &pb.DocumentMask{FieldPaths: []string{"n"}},
	}
	if d, err := c.UpdateDocument(ctx, up); err != nil {
		t.Errorf("update: %v", err)
	} else if len(d.Fields) != 1 {
		t.Errorf("the update returns %d fields, want the 1 of the mask", len(d.Fields))
	} else if d.Fields["n"].GetIntegerValue() != 1 {
		t.Errorf("n after the update is %v, want 1", d.Fields["n"])
	}
	if d, err := get(c, "a/x", nil); err != nil {
		t.Errorf("read the updated document: %v", err)
	} else if len(d.Fields) != 2 {
		t.Errorf("the document has the fields %v, want 2", d.Fields)
	}
	if _, err := c.DeleteDocument(ctx, &pb.DeleteDocumentRequest{Name: root + "/a/x"}); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = get(c, "a/x", nil)
	wantCode(t, "get after delete", err, codes.NotFound)
}

func TestAnEmptyMaskDiffersFromNone(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/x", 1))
	w := set("a/x", 5)
	w.UpdateMask = &pb.DocumentMask{}
	mustCommit(t, c, w)
	if d, err := get(c, "a/x", nil); err != nil {
		t.Errorf("read after an empty mask: %v", err)
	} else if d.Fields["n"].GetIntegerValue() != 1 {
		t.Errorf("n is %v, want 1: an empty mask writes no field", d.Fields["n"])
	}
	mustCommit(t, c, &pb.Write{Operation: w.Operation, UpdateMask: &pb.DocumentMask{FieldPaths: []string{"`a b`"}}})
	_, err := commit(t, c, nil, &pb.Write{Operation: w.Operation, UpdateMask: &pb.DocumentMask{FieldPaths: []string{"a b"}}})
	wantCode(t, "a path that must be quoted", err, codes.InvalidArgument)
}

func TestWritesOfOneCommitBuildOnEachOther(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	inc := &pb.Write{Operation: &pb.Write_Transform{Transform: &pb.DocumentTransform{Document: root + "/a/x", FieldTransforms: []*pb.DocumentTransform_FieldTransform{
		{FieldPath: "n", TransformType: &pb.DocumentTransform_FieldTransform_Increment{Increment: integer(2)}},
	}}}}
	r := mustCommit(t, c, set("a/x", 1), inc, inc)
	if got := r.WriteResults[2].TransformResults[0].GetIntegerValue(); got != 5 {
		t.Errorf("third write answers %d, want 5", got)
	}
	if len(r.WriteResults) != 3 {
		t.Errorf("%d write results, want 3", len(r.WriteResults))
	}
	if got := r.CommitTime.AsTime(); got != r.WriteResults[2].UpdateTime.AsTime() {
		t.Errorf("the commit time is %v, want %v", got, r.WriteResults[2].UpdateTime.AsTime())
	}
}

func TestBatchWriteAnswersAStatusEach(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	missing := set("a/none", 1)
	missing.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: true}}
	r, err := c.BatchWrite(t.Context(), &pb.BatchWriteRequest{Database: database, Writes: []*pb.Write{set("a/x", 1), missing, set("a/y", 1)}})
	if err != nil {
		t.Fatalf("batch write: %v", err)
	} else if r.Status[0].Code != 0 {
		t.Fatalf("status of the first write is %v, want OK", r.Status[0])
	} else if codes.Code(r.Status[1].Code) != codes.NotFound {
		t.Fatalf("status of the second write is %v, want NotFound", r.Status[1])
	} else if r.Status[2].Code != 0 {
		t.Fatalf("status of the third write is %v, want OK", r.Status[2])
	}
	_, err = c.BatchWrite(t.Context(), &pb.BatchWriteRequest{Database: database, Writes: []*pb.Write{set("a/x", 1), set("a/x", 2)}})
	wantCode(t, "one document twice", err, codes.InvalidArgument)
	var many []*pb.Write
	for i := range 501 {
		many = append(many, set(fmt.Sprint("a/", i), 1))
	}
	_, err = c.BatchWrite(t.Context(), &pb.BatchWriteRequest{Database: database, Writes: many})
	wantCode(t, "501 writes", err, codes.InvalidArgument)
	mustCommit(t, c, many...) // a commit has no such limit
}

func TestCursorsComparePrefixesOfTheOrder(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	for i := range 6 {
		w := set(fmt.Sprint("a/", i), int64(i/2))
		w.GetUpdate().Fields["m"] = integer(int64(i % 2))
		mustCommit(t, c, w)
	}
	q := &pb.StructuredQuery{
		From:    from("a"),
		OrderBy: []*pb.StructuredQuery_Order{{Field: field("n"), Direction: pb.StructuredQuery_DESCENDING}, {Field: field("m"), Direction: pb.StructuredQuery_ASCENDING}},
		StartAt: &pb.Cursor{Values: []*pb.Value{integer(1)}, Before: true}, EndAt: &pb.Cursor{Values: []*pb.Value{integer(0), integer(0)}},
	}
	rs, err := query(c, q)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rs {
		got = append(got, r.Document.Name[len(root)+3:])
	}
	if strings.Join(got, "") != "230" {
		t.Errorf("found %v, want 2 3 0", got)
	}
}

func TestListDocumentsPagesInTheOrderAskedFor(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	for i := range 5 {
		mustCommit(t, c, set(fmt.Sprint("a/", i), int64(9-i)))
	}
	req := &pb.ListDocumentsRequest{Parent: root, CollectionId: "a", PageSize: 2, OrderBy: "n", Mask: &pb.DocumentMask{}}
	var got string
	for {
		r, err := c.ListDocuments(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Documents {
			got += d.Name[len(root)+3:]
			if len(d.Fields) > 0 {
				t.Errorf("fields in spite of an empty mask: %v", d)
			}
		}
		if req.PageToken = r.NextPageToken; req.PageToken == "" {
			break
		}
	}
	if got != "43210" {
		t.Errorf("listed %q, want 43210", got)
	}
	req.PageToken = "nonsense"
	_, err := c.ListDocuments(t.Context(), req)
	wantCode(t, "a page token that is none", err, codes.InvalidArgument)
}

func TestPipelinesAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	st, err := c.ExecutePipeline(t.Context(), &pb.ExecutePipelineRequest{Database: database})
	if err == nil {
		_, err = st.Recv()
	}
	wantCode(t, "pipeline", err, codes.Unimplemented)
	if !strings.Contains(err.Error(), "RunQuery") {
		t.Errorf("%v does not say what to use", err)
	}
}

// An answer without the plan could be taken for one, so explain_options is refused.
func TestExplanationsAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	query := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}}
	for name, ask := range map[string]func() error{
		"query": func() error {
			st, err := c.RunQuery(t.Context(), &pb.RunQueryRequest{Parent: root, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: query}, ExplainOptions: &pb.ExplainOptions{}})
			if err == nil {
				_, err = st.Recv()
			}
			return err
		},
		"aggregation": func() error {
			count := &pb.StructuredAggregationQuery{QueryType: &pb.StructuredAggregationQuery_StructuredQuery{StructuredQuery: query},
				Aggregations: []*pb.StructuredAggregationQuery_Aggregation{{Operator: &pb.StructuredAggregationQuery_Aggregation_Count_{Count: &pb.StructuredAggregationQuery_Aggregation_Count{}}}}}
			st, err := c.RunAggregationQuery(t.Context(), &pb.RunAggregationQueryRequest{Parent: root, QueryType: &pb.RunAggregationQueryRequest_StructuredAggregationQuery{StructuredAggregationQuery: count}, ExplainOptions: &pb.ExplainOptions{Analyze: true}})
			if err == nil {
				_, err = st.Recv()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, name, ask(), codes.Unimplemented) })
	}
}

// Null and NaN in a list match no document, as the SDKs' own tests expect of the service.
func TestNullAndNaNInAListMatchNothing(t *testing.T) {
	t.Parallel()
	c, err := sdk.NewClient(t.Context(), "lists", option.WithGRPCConn(dial(t, start(t, firestore.Options{}).Addr())))
	if err != nil {
		t.Fatalf("opening the client: %v", err)
	}
	defer c.Close()
	mustSet(t, c.Doc("c/____"), doc{"v": 1, "list": []any{1}}) // an id that the service accepts
	mustSet(t, c.Doc("c/nan"), doc{"v": math.NaN(), "list": []any{math.NaN()}})
	mustSet(t, c.Doc("c/null"), doc{"v": nil, "list": []any{nil}})

	odd := []any{nil, math.NaN()}
	for name, q := range map[string]struct {
		field, op string
		list      []any
		want      string
	}{
		"in":                              {"v", "in", odd, ""},
		"in, with a number":               {"v", "in", append(odd, 1), "____"},
		"array-contains-any":              {"list", "array-contains-any", odd, ""},
		"array-contains-any, with number": {"list", "array-contains-any", append(odd, 1), "____"},
	} {
		t.Run(name, func(t *testing.T) { wantIDs(t, name, c.Collection("c").Where(q.field, q.op, q.list), q.want) })
	}
	_, err = c.Doc("c/_____").Set(t.Context(), doc{})
	wantCode(t, "an id of five underscores", err, codes.InvalidArgument)
}

func TestRequestsOverTenMebibytesAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	var ws []*pb.Write
	for i := range 11 {
		w := set(fmt.Sprint("a/", i), 1)
		w.GetUpdate().Fields["s"] = &pb.Value{ValueType: &pb.Value_StringValue{StringValue: strings.Repeat("x", 1<<20-1000)}}
		ws = append(ws, w)
	}
	_, err := commit(t, c, nil, ws...)
	wantCode(t, "11 MiB", err, codes.InvalidArgument)
	mustCommit(t, c, ws[:9]...)
}
