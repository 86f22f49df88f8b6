package firestore

import (
	"context"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
)

// BenchmarkRecording is what the server adds to a request to remember it: compare it with
// BenchmarkOneDocument, the smallest request.
func BenchmarkRecording(b *testing.B) {
	s := &Server{}
	info := &grpc.UnaryServerInfo{FullMethod: "/google.firestore.v1.Firestore/GetDocument"}
	req := &pb.GetDocumentRequest{Name: "projects/p/databases/(default)/documents/c/d"}
	answer := func(context.Context, any) (any, error) { return nil, nil }
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := s.interceptUnary(context.Background(), req, info, answer); err != nil {
				b.Error(err)
			}
		}
	})
}
