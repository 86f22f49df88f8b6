package firestore

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/firestore/engine"
)

// A service implements google.firestore.v1.Firestore on an engine.
type service struct {
	pb.UnimplementedFirestoreServer
	engine *engine.Engine
}

// GetDocument returns one document.
func (s *service) GetDocument(ctx context.Context, r *pb.GetDocumentRequest) (*pb.Document, error) {
	db, err := s.engine.Database(r.GetName())
	if err != nil {
		return nil, err
	}

	docs, _, err := db.GetAll(ctx, engine.Read{Transaction: r.GetTransaction(), Time: r.GetReadTime()}, []string{r.GetName()}, r.GetMask())
	if err != nil {
		return nil, err
	}

	if !docs[0].Exists() {
		return nil, status.Errorf(codes.NotFound, "Document %q not found.", r.GetName())
	}
	return docs[0].Proto(), nil
}

// BatchGetDocuments returns documents and the names of missing ones, each once.
func (s *service) BatchGetDocuments(r *pb.BatchGetDocumentsRequest, st pb.Firestore_BatchGetDocumentsServer) error {
	db, err := s.engine.Database(r.GetDatabase())
	if err != nil {
		return err
	}

	docs, snap, err := db.GetAll(st.Context(), engine.Read{Transaction: r.GetTransaction(), Begin: r.GetNewTransaction(), Time: r.GetReadTime()}, r.GetDocuments(), r.GetMask())
	if err != nil {
		return err
	}
	if snap.Transaction != nil {
		if err := st.Send(&pb.BatchGetDocumentsResponse{Transaction: snap.Transaction}); err != nil {
			return err
		}
	}

	at, err := proto.Marshal(snap.Time())
	if err != nil {
		return err
	}

	var scratch []byte
	for _, d := range docs {
		var m any = &pb.BatchGetDocumentsResponse{ReadTime: snap.Time(), Result: &pb.BatchGetDocumentsResponse_Missing{Missing: d.Name()}}
		if d.Exists() {
			m, scratch = documentMessage(scratch, batchGetFound, batchGetReadTime, d, at)
		}
		if err := st.SendMsg(m); err != nil {
			return err
		}
	}

	return nil
}

// errNoExplain is the answer to explain_options: an answer without the plan would be taken
// for one.
var errNoExplain = status.Error(codes.Unimplemented, "This emulator does not explain queries: explain_options is not supported.")

// RunQuery returns the documents of a query.
func (s *service) RunQuery(r *pb.RunQueryRequest, st pb.Firestore_RunQueryServer) error {
	if r.GetExplainOptions() != nil {
		return errNoExplain
	}
	q, err := engine.NewQuery(r.GetParent(), r.GetStructuredQuery())
	if err != nil {
		return err
	}

	db, err := s.engine.Database(r.GetParent())
	if err != nil {
		return err
	}

	res, err := db.Query(st.Context(), q, engine.Read{Transaction: r.GetTransaction(), Begin: r.GetNewTransaction(), Time: r.GetReadTime()})
	if err != nil {
		return err
	}
	if res.Transaction != nil {
		if err := st.Send(&pb.RunQueryResponse{Transaction: res.Transaction}); err != nil {
			return err
		}
	}

	return sendResult(res, st)
}

// sendResult sends the documents. When there are none, or the offset skipped
// some, it also sends a message without a document, as the service does.
func sendResult(res *engine.Result, st pb.Firestore_RunQueryServer) error {
	at, err := proto.Marshal(res.Time())
	if err != nil {
		return err
	}

	var scratch []byte
	sent := 0
	skipped, err := res.Each(st.Context(), func(d *engine.Document) error {
		sent++
		var m encoded
		m, scratch = documentMessage(scratch, runQueryDocument, runQueryReadTime, d, at)
		return st.SendMsg(m)
	})
	if err != nil || sent > 0 && skipped == 0 {
		return err
	}

	return st.Send(&pb.RunQueryResponse{ReadTime: res.Time(), SkippedResults: int32(skipped)})
}

// RunAggregationQuery returns counts, sums and averages over a query.
func (s *service) RunAggregationQuery(r *pb.RunAggregationQueryRequest, st pb.Firestore_RunAggregationQueryServer) error {
	if r.GetExplainOptions() != nil {
		return errNoExplain
	}
	a, err := engine.NewAggregation(r.GetParent(), r.GetStructuredAggregationQuery())
	if err != nil {
		return err
	}

	db, err := s.engine.Database(r.GetParent())
	if err != nil {
		return err
	}

	fields, snap, err := db.Aggregate(st.Context(), a, engine.Read{Transaction: r.GetTransaction(), Begin: r.GetNewTransaction(), Time: r.GetReadTime()})
	if err != nil {
		return err
	}
	return st.Send(&pb.RunAggregationQueryResponse{
		Transaction: snap.Transaction, ReadTime: snap.Time(), Result: &pb.AggregationResult{AggregateFields: fields},
	})
}

// ExecutePipeline returns Unimplemented: pipelines belong to the Enterprise
// edition.
func (s *service) ExecutePipeline(*pb.ExecutePipelineRequest, pb.Firestore_ExecutePipelineServer) error {
	return status.Error(codes.Unimplemented, "This emulator is a Standard edition database, which has no pipelines. Use RunQuery.")
}

// PartitionQuery returns cursors that split a query into parts.
func (s *service) PartitionQuery(ctx context.Context, r *pb.PartitionQueryRequest) (*pb.PartitionQueryResponse, error) {
	db, err := s.engine.Database(r.GetParent())
	if err != nil {
		return nil, err
	}
	cursors, next, err := db.Partition(ctx, r)
	return &pb.PartitionQueryResponse{Partitions: cursors, NextPageToken: next}, err
}

// ListDocuments returns a page of a collection.
func (s *service) ListDocuments(ctx context.Context, r *pb.ListDocumentsRequest) (*pb.ListDocumentsResponse, error) {
	db, err := s.engine.Database(r.GetParent())
	if err != nil {
		return nil, err
	}

	docs, next, err := db.List(ctx, r)
	if err != nil {
		return nil, err
	}

	out := &pb.ListDocumentsResponse{NextPageToken: next}
	for _, d := range docs {
		out.Documents = append(out.Documents, d.Proto())
	}
	return out, nil
}

// ListCollectionIds returns a page of the collections below a document.
func (s *service) ListCollectionIds(ctx context.Context, r *pb.ListCollectionIdsRequest) (*pb.ListCollectionIdsResponse, error) {
	db, err := s.engine.Database(r.GetParent())
	if err != nil {
		return nil, err
	}
	ids, next, err := db.CollectionIDs(ctx, r)
	return &pb.ListCollectionIdsResponse{CollectionIds: ids, NextPageToken: next}, err
}
