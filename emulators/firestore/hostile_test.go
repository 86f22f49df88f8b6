package firestore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"carillon.example/emulators/firestore"
)

func and(fs ...*pb.StructuredQuery_Filter) *pb.StructuredQuery_Filter {
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{CompositeFilter: &pb.StructuredQuery_CompositeFilter{
		Op: pb.StructuredQuery_CompositeFilter_AND, Filters: fs,
	}}}
}

func or(fs ...*pb.StructuredQuery_Filter) *pb.StructuredQuery_Filter {
	f := and(fs...)
	f.GetCompositeFilter().Op = pb.StructuredQuery_CompositeFilter_OR
	return f
}

func TestHostileQueriesAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	one := where("a", pb.StructuredQuery_FieldFilter_EQUAL, integer(1))
	deep := one
	for range 3000 {
		deep = and(deep)
	}
	var wide, product []*pb.StructuredQuery_Filter
	for range 10_000 {
		wide = append(wide, one)
	}
	for range 20 {
		product = append(product, or(one, where("b", pb.StructuredQuery_FieldFilter_EQUAL, integer(2))))
	}
	for name, q := range map[string]*pb.StructuredQuery{
		"10,000 filters":              {From: from("a"), Where: and(wide...)},
		"3,000 filters in each other": {From: from("a"), Where: deep},
		"2^20 disjunctions":           {From: from("a"), Where: and(product...)},
		"negative offset":             {From: from("a"), Offset: -1},
		"negative limit":              {From: from("a"), Limit: wrapperspb.Int32(-1)},
		"no collection":               {},
		"two collections":             {From: append(from("a"), from("b")...)},
		"slash in a collection":       {From: from("a/b")},
		"filter without a type":       {From: from("a"), Where: &pb.StructuredQuery_Filter{}},
		"empty composite":             {From: from("a"), Where: and()},
		"no operator":                 {From: from("a"), Where: where("a", 0, integer(1))},
		"unknown operator":            {From: from("a"), Where: where("a", 99, integer(1))},
		"no value":                    {From: from("a"), Where: where("a", pb.StructuredQuery_FieldFilter_EQUAL, nil)},
		"bad field path":              {From: from("a"), Where: where("a..b", pb.StructuredQuery_FieldFilter_EQUAL, integer(1))},
		"open quote":                  {From: from("a"), Where: where("`a", pb.StructuredQuery_FieldFilter_EQUAL, integer(1))},
		"empty field path":            {From: from("a"), OrderBy: []*pb.StructuredQuery_Order{{Field: field("")}}},
	} {
		_, err := query(c, q)
		wantCode(t, name, err, codes.InvalidArgument)
	}
	if rs, err := query(c, &pb.StructuredQuery{From: from("a"), Offset: 1<<31 - 1}); err != nil {
		t.Errorf("a huge offset: %v", err)
	} else if len(rs) != 1 {
		t.Errorf("a huge offset: %d responses, want 1: %v", len(rs), rs)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	for _, name := range []string{
		"", "x", "projects/p", database, root, root + "/", root + "/a", root + "/a/", root + "//b", root + "/a/b/c", root + "/a/..", root + "/__a__/b",
		"projects//databases/d/documents/a/b", "projects/p/databases/d/documentsx/a/b", "projects/p/databases/d/e/documents/a/b",
		root + "/a/" + strings.Repeat("x", 7000), root + strings.Repeat("/a/b", 1500),
	} {
		_, err := c.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: name})
		wantCode(t, fmt.Sprintf("get %.60q", name), err, codes.InvalidArgument)
		_, err = commit(t, c, nil, &pb.Write{Operation: &pb.Write_Delete{Delete: name}})
		wantCode(t, fmt.Sprintf("delete %.60q", name), err, codes.InvalidArgument)
	}
	_, err := commit(t, c, nil, &pb.Write{Operation: &pb.Write_Delete{Delete: "projects/other/databases/d/documents/a/b"}})
	wantCode(t, "a document of another database", err, codes.InvalidArgument)
}

func TestValuesThatCannotBeStoredAreRefused(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	deep := integer(1)
	for range 5000 {
		deep = &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: map[string]*pb.Value{"m": deep}}}}
	}
	for name, v := range map[string]*pb.Value{
		"depth of 5,000":   deep,
		"no type":          {},
		"year 10000":       {ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: 1 << 40}}},
		"bad reference":    {ValueType: &pb.Value_ReferenceValue{ReferenceValue: "x"}},
		"pipeline's field": {ValueType: &pb.Value_FieldReferenceValue{FieldReferenceValue: "x"}},
	} {
		w := set("a/x", 1)
		w.GetUpdate().Fields["v"] = v
		if _, err := commit(t, c, nil, w); err == nil {
			t.Errorf("%s: the commit succeeds, want an error", name)
		} else if status.Code(err) == codes.Unavailable {
			t.Errorf("%s: %v, want an error of the server", name, err)
		}
	}
}

// requests holds one empty request of every unary and server-streaming method.
var requests = map[string]proto.Message{
	"GetDocument": &pb.GetDocumentRequest{}, "ListDocuments": &pb.ListDocumentsRequest{}, "UpdateDocument": &pb.UpdateDocumentRequest{},
	"DeleteDocument": &pb.DeleteDocumentRequest{}, "CreateDocument": &pb.CreateDocumentRequest{}, "BatchGetDocuments": &pb.BatchGetDocumentsRequest{},
	"BeginTransaction": &pb.BeginTransactionRequest{}, "Commit": &pb.CommitRequest{}, "Rollback": &pb.RollbackRequest{}, "RunQuery": &pb.RunQueryRequest{},
	"RunAggregationQuery": &pb.RunAggregationQueryRequest{}, "PartitionQuery": &pb.PartitionQueryRequest{}, "ListCollectionIds": &pb.ListCollectionIdsRequest{},
	"BatchWrite": &pb.BatchWriteRequest{}, "ExecutePipeline": &pb.ExecutePipelineRequest{}, "Write": &pb.WriteRequest{}, "Listen": &pb.ListenRequest{},
}

func TestEmptyRequestsGetAnError(t *testing.T) {
	t.Parallel()
	s := start(t, firestore.Options{})
	conn := dial(t, s.Addr())
	for method := range requests {
		code := send(t.Context(), conn, method, nil)
		if code != codes.InvalidArgument && code != codes.Unimplemented {
			t.Errorf("%s: %v", method, code)
		}
	}
}

// FuzzRequests sends random bytes as the request of every method, after a
// document was stored. The server must answer; the answer does not matter.
func FuzzRequests(f *testing.F) {
	for _, m := range []proto.Message{
		&pb.CommitRequest{Database: database, Writes: []*pb.Write{set("a/x", 1)}},
		&pb.RunQueryRequest{Parent: root, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: &pb.StructuredQuery{
			From: from("a"), Where: or(where("n", pb.StructuredQuery_FieldFilter_GREATER_THAN, integer(0)), where("n", pb.StructuredQuery_FieldFilter_EQUAL, integer(1))),
			OrderBy: []*pb.StructuredQuery_Order{{Field: field("n"), Direction: pb.StructuredQuery_DESCENDING}}, StartAt: &pb.Cursor{Values: []*pb.Value{integer(5)}}, Limit: wrapperspb.Int32(3),
		}}},
		&pb.BatchGetDocumentsRequest{Database: database, Documents: []string{root + "/a/x"}, Mask: &pb.DocumentMask{FieldPaths: []string{"n", "`a`.b"}}},
		&pb.ListenRequest{Database: database, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: &pb.Target{TargetId: 1, TargetType: &pb.Target_Documents{Documents: &pb.Target_DocumentsTarget{Documents: []string{root + "/a/x"}}}}}},
		&pb.ListDocumentsRequest{Parent: root, CollectionId: "a", OrderBy: "n desc", PageToken: "AA"},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	s := start(f, firestore.Options{})
	conn := dial(f, s.Addr())
	mustCommit(f, pb.NewFirestoreClient(conn), set("a/x", 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for method := range requests {
			switch code := send(ctx, conn, method, b); code {
			case codes.DeadlineExceeded, codes.Unavailable, codes.Unknown:
				t.Errorf("%s returns %v for %x, want a response of the server", method, code, b)
			}
		}
	})
}

// A bytesCodec sends bytes unchanged and accepts any response.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (bytesCodec) Unmarshal([]byte, any) error   { return nil }
func (bytesCodec) Name() string                  { return "proto" }

// send makes a call with the bytes b and reads until the call ends. For a
// listener that stays open it reads the first response.
func send(ctx context.Context, conn *grpc.ClientConn, method string, b []byte) codes.Code {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/google.firestore.v1.Firestore/"+method, grpc.ForceCodec(bytesCodec{}))
	if err != nil {
		return status.Code(err)
	}
	if b == nil {
		b = []byte{}
	}
	if err := st.SendMsg(b); err != nil {
		return status.Code(st.RecvMsg(nil))
	}
	if err := st.CloseSend(); err != nil {
		return status.Code(err)
	}
	for {
		if err := st.RecvMsg(nil); err != nil {
			if err.Error() == "EOF" {
				return codes.OK
			}
			return status.Code(err)
		}
	}
}
