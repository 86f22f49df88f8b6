package store_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/shared/push"
)

// reads counts the documents that are asked for by name, and all else that is
// streamed: queries.
type reads struct{ n, queries atomic.Int64 }

func (r *reads) intercept(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, d, cc, method, o...)
	return &readStream{s, r}, err
}

type readStream struct {
	grpc.ClientStream
	*reads
}

func (s *readStream) SendMsg(m any) error {
	if get, ok := m.(*pb.BatchGetDocumentsRequest); ok {
		s.n.Add(int64(len(get.Documents)))
	} else {
		s.queries.Add(1)
	}
	return s.ClientStream.SendMsg(m)
}

// TestOneReadAnswersAvailability, and an app that starts costs two reads and a
// write.
func TestOneReadAnswersAvailability(t *testing.T) {
	t.Parallel()
	r, c := &reads{}, &writes{}
	w := newWorld(t, grpc.WithStreamInterceptor(r.intercept), grpc.WithUnaryInterceptor(c.intercept))
	for _, token := range []string{"t", "u"} {
		w.register(t, "anna", token)
	}
	w.clock.Add(time.Hour)
	read, written := r.n.Load(), c.n.Load()
	if anna := w.customer(t, "anna"); !anna.HasValidToken() || r.n.Load()-read != 1 {
		t.Errorf("%+v took %d reads", anna, r.n.Load()-read)
	}
	if _, err := w.Customer(t.Context(), "nobody"); !push.IsNotFound(err) || r.n.Load()-read != 2 {
		t.Errorf("nobody: %v, after %d reads", err, r.n.Load()-read-1)
	}
	w.register(t, "anna", "t")
	if n, m := r.n.Load()-read-2, c.n.Load()-written; n != 2 || m != 1 || r.queries.Load() != 0 {
		t.Errorf("registering again took %d reads, %d writes and %d queries", n, m, r.queries.Load())
	}
}
