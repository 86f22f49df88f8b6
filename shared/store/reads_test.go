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
	w := newHarness(t, grpc.WithStreamInterceptor(r.intercept), grpc.WithUnaryInterceptor(c.intercept))
	for _, token := range []string{"t", "u"} {
		w.register(t, "anna", token)
	}
	w.clock.Add(time.Hour)
	read, written := r.n.Load(), c.n.Load()
	anna := w.customer(t, "anna")
	equal(t, "anna.Reachable()", anna.HasValidToken(), true)
	equal(t, "reads of a customer", r.n.Load()-read, 1)
	_, err := w.ReadCustomer(t.Context(), "nobody")
	if !push.IsNotFound(err) {
		t.Errorf("nobody: %v, want not found", err)
	}
	equal(t, "reads of two customers", r.n.Load()-read, 2)
	w.register(t, "anna", "t")
	n, m := r.n.Load()-read-2, c.n.Load()-written
	equal(t, "reads of a repeated registration", n, 2)
	equal(t, "writes of a repeated registration", m, 1)
	equal(t, "queries of a repeated registration", r.queries.Load(), 0)
}
