package firestore

import (
	"context"
	"crypto/rand"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"carillon.example/emulators/firestore/engine"
)

// BeginTransaction starts a transaction.
func (s *service) BeginTransaction(_ context.Context, r *pb.BeginTransactionRequest) (*pb.BeginTransactionResponse, error) {
	db, err := s.engine.Database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	id, err := db.Begin(r.GetOptions())
	return &pb.BeginTransactionResponse{Transaction: id}, err
}

// Rollback ends a transaction without writing.
func (s *service) Rollback(_ context.Context, r *pb.RollbackRequest) (*emptypb.Empty, error) {
	db, err := s.engine.Database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	db.Rollback(r.GetTransaction())
	return &emptypb.Empty{}, nil
}

// Commit applies all writes or none.
func (s *service) Commit(ctx context.Context, r *pb.CommitRequest) (*pb.CommitResponse, error) {
	db, err := s.engine.Database(r.GetDatabase())
	if err != nil {
		return nil, err
	}
	c, err := db.Commit(ctx, r.GetTransaction(), r.GetWrites())
	if err != nil {
		return nil, err
	}
	return &pb.CommitResponse{WriteResults: c.Results, CommitTime: c.Time()}, nil
}

// BatchWrite commits each write on its own and returns a status per write.
func (s *service) BatchWrite(ctx context.Context, r *pb.BatchWriteRequest) (*pb.BatchWriteResponse, error) {
	db, err := s.engine.Database(r.GetDatabase())
	if err != nil {
		return nil, err
	}

	results, errs, err := db.Batch(ctx, r.GetWrites())
	if err != nil {
		return nil, err
	}

	out := &pb.BatchWriteResponse{WriteResults: results}
	for _, e := range errs {
		out.Status = append(out.Status, &rpcstatus.Status{Code: int32(e.Code()), Message: e.Message()})
	}
	return out, nil
}

// CreateDocument writes a document that must not exist yet. Without an id in
// the request it chooses one.
func (s *service) CreateDocument(ctx context.Context, r *pb.CreateDocumentRequest) (*pb.Document, error) {
	id := r.GetDocumentId()
	if id == "" {
		id = rand.Text()[:20]
	}
	d := &pb.Document{Name: r.GetParent() + "/" + r.GetCollectionId() + "/" + id, Fields: r.GetDocument().GetFields()}
	return s.writeOne(ctx, &pb.Write{
		Operation:       &pb.Write_Update{Update: d},
		CurrentDocument: &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}},
	}, d.Name, r.GetMask())
}

// UpdateDocument writes a whole document, or only the fields of the mask.
func (s *service) UpdateDocument(ctx context.Context, r *pb.UpdateDocumentRequest) (*pb.Document, error) {
	w := &pb.Write{Operation: &pb.Write_Update{Update: r.GetDocument()}, UpdateMask: r.GetUpdateMask(), CurrentDocument: r.GetCurrentDocument()}
	return s.writeOne(ctx, w, r.GetDocument().GetName(), r.GetMask())
}

// DeleteDocument deletes a document.
func (s *service) DeleteDocument(ctx context.Context, r *pb.DeleteDocumentRequest) (*emptypb.Empty, error) {
	db, err := s.engine.Database(r.GetName())
	if err != nil {
		return nil, err
	}
	w := &pb.Write{Operation: &pb.Write_Delete{Delete: r.GetName()}, CurrentDocument: r.GetCurrentDocument()}
	_, err = db.Commit(ctx, nil, []*pb.Write{w})
	return &emptypb.Empty{}, err
}

// writeOne commits one write and returns the document after the commit.
func (s *service) writeOne(ctx context.Context, w *pb.Write, name string, mask *pb.DocumentMask) (*pb.Document, error) {
	db, err := s.engine.Database(name)
	if err != nil {
		return nil, err
	}
	d, err := db.WriteOne(ctx, w, mask)
	if err != nil {
		return nil, err
	}
	return d.Proto(), nil
}

// A writeStream is the state of one Write stream.
type writeStream struct {
	db    *engine.Database
	id    string
	token []byte
}

// Write serves the stream on which clients commit writes in order. Each request
// is one commit. The first error ends the stream.
func (s *service) Write(st pb.Firestore_WriteServer) error {
	var ws *writeStream
	for {
		r, err := st.Recv()
		if err != nil {
			return endOfStream(err)
		}
		out := &pb.WriteResponse{}
		if ws == nil {
			ws = &writeStream{id: rand.Text()}
			if ws.db, err = s.engine.Database(r.GetDatabase()); err != nil {
				return err
			}
			out.StreamId = ws.id
		}
		if len(r.GetWrites()) > 0 {
			c, err := ws.db.Commit(st.Context(), nil, r.GetWrites())
			if err != nil {
				return err
			}
			out.WriteResults, out.CommitTime = c.Results, c.Time()
		}
		ws.token = []byte(rand.Text())
		out.StreamToken = ws.token
		if err := st.Send(out); err != nil {
			return err
		}
	}
}
