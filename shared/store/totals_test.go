package store_test

import (
	"context"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestUndecodableShardCountsAsOpen: the list leaves the shard out, but the mailing does
// not count as dispatched.
func TestUndecodableShardCountsAsOpen(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	if _, err := w.StartMailing(t.Context(), "m", push.AllDevices, nil, []push.Shard{{Mailing: "m"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB().Doc("mailings/m/shards/0").Update(t.Context(), []firestore.Update{{Path: "leaseUntil", Value: "nonsense"}}); err != nil {
		t.Fatal(err)
	}
	open, err := w.ListOpenShards(t.Context(), "m")
	if err != nil {
		t.Fatalf("w.ListOpenShards: %v", err)
	}
	check.Equal(t, len(open), 0, "number of entries in open")
	done, err := w.MarkMailingDispatched(t.Context(), "m")
	if err != nil {
		t.Fatalf("with a shard that cannot be decoded: %v", err)
	}
	check.Equal(t, done, false, "with a shard that cannot be decoded: done")
}

// TestFreezingLocksNoBatch: the sums are added up outside of the transaction that
// writes the mailing.
func TestFreezingLocksNoBatch(t *testing.T) {
	t.Parallel()
	var locked atomic.Int64
	writing := map[string]bool{}
	un := grpc.WithUnaryInterceptor(func(ctx context.Context, m string, req, rep any, cc *grpc.ClientConn, inv grpc.UnaryInvoker, o ...grpc.CallOption) error {
		err := inv(ctx, m, req, rep, cc, o...)
		if r, ok := req.(*pb.BeginTransactionRequest); ok && r.GetOptions().GetReadOnly() == nil && err == nil {
			writing[string(rep.(*pb.BeginTransactionResponse).GetTransaction())] = true
		}
		return err
	})
	st := grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, m string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
		s, err := open(ctx, d, cc, m, o...)
		return &sumStream{s, func(tx []byte) {
			if writing[string(tx)] {
				locked.Add(1)
			}
		}}, err
	})
	w := newHarness(t, un, st)
	w.mailing(t, "m", push.Audience{Everyone: true})
	if _, err := w.StartMailing(t.Context(), "m", push.AllDevices, nil, []push.Shard{{Mailing: "m", Done: true}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.MarkMailingDispatched(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	done, err := w.FreezeMailing(t.Context(), "m")
	if err != nil {
		t.Fatalf("w.FreezeMailing: %v", err)
	}
	if done == nil {
		t.Fatal("FreezeMailing returned no mailing, want the frozen one")
	}
	if done.Totals == nil {
		t.Fatal("the frozen mailing has no totals")
	}
	if n := locked.Load(); n != 0 {
		t.Errorf("%d sums were added up in a transaction that writes", n)
	}
}

// sumStream looks at aggregations.
type sumStream struct {
	grpc.ClientStream
	saw func(tx []byte)
}

func (s *sumStream) SendMsg(m any) error {
	if r, ok := m.(*pb.RunAggregationQueryRequest); ok {
		s.saw(r.GetTransaction())
	}
	return s.ClientStream.SendMsg(m)
}
