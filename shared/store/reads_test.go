package store_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/emulators/testcloud/check"
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
	check.Equal(t, anna.HasValidToken(), true, "anna.Reachable()")
	check.Equal(t, r.n.Load()-read, 1, "reads of a customer")
	_, err := w.ReadCustomer(t.Context(), "nobody")
	if !push.IsNotFound(err) {
		t.Errorf("nobody: %v, want not found", err)
	}
	check.Equal(t, r.n.Load()-read, 2, "reads of two customers")
	w.register(t, "anna", "t")
	n, m := r.n.Load()-read-2, c.n.Load()-written
	check.Equal(t, n, 2, "reads of a repeated registration")
	check.Equal(t, m, 1, "writes of a repeated registration")
	check.Equal(t, r.queries.Load(), 0, "queries of a repeated registration")
}
