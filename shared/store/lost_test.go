package store_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// lossy commits what it is asked to and then, once armed, loses the answer.
type lossy struct{ armed, lost atomic.Int32 }

func (l *lossy) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if err == nil && strings.HasSuffix(method, "/Commit") && l.armed.CompareAndSwap(1, 0) {
		l.lost.Add(1)
		return status.Error(codes.Unavailable, "the connection broke after the commit")
	}
	return err
}

func newLossyHarness(t *testing.T) (*harness, *lossy) {
	l := &lossy{}
	return newHarness(t, grpc.WithUnaryInterceptor(l.intercept)), l
}

// whenLost runs one step with the answer to its commit lost.
func (l *lossy) whenLost(t *testing.T, what string, step func() error) {
	t.Helper()
	before := l.lost.Load()
	l.armed.Store(1)
	err := step()
	l.armed.Store(0)
	if err != nil {
		t.Fatalf("%s, its answer lost: %v", what, err)
	}
	if l.lost.Load() != before+1 {
		t.Fatalf("%s: no answer was lost", what)
	}
}

func TestLostAnswersAreNotLostLeases(t *testing.T) {
	t.Parallel()
	w, l := newLossyHarness(t)
	ctx := t.Context()
	w.mailing(t, "m", push.Audience{Everyone: true})
	if _, err := w.StartMailing(ctx, "m", push.AllDevices, nil, []push.Shard{{Mailing: "m"}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.ReadShard(ctx, "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	l.whenLost(t, "taking a shard", func() error { return w.LeaseShard(ctx, sh, w.clock.Now().Add(time.Minute)) })
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: "00-000000"}, CreatedAt: w.clock.Now(), Results: make([]push.Result, 2),
		Targets: []push.Target{{Customer: "a", Token: "x", Kind: push.KindToken}, {Customer: "b", Token: "y", Kind: push.KindToken}}}
	sh.After, sh.Batches, sh.Targeted = "0001", 1, 2
	l.whenLost(t, "creating batches", func() error { return w.CreateBatches(ctx, sh, []*push.Batch{b}) })
	sh.Done = true
	l.whenLost(t, "finishing the last page", func() error { return w.CreateBatches(ctx, sh, nil) })
	if b, err = w.ReadBatch(ctx, b.BatchRef); err != nil {
		t.Fatal(err)
	}
	l.whenLost(t, "leasing", func() error {
		return w.LeaseBatch(ctx, b, push.Lease{Owner: "me", Until: w.clock.Now().Add(time.Minute)})
	})
	b.Results[0] = push.ResultAccepted
	l.whenLost(t, "saving results", func() error { return w.SaveBatch(ctx, b) })
	b.Results[1], b.Settled = push.ResultAccepted, true
	l.whenLost(t, "settling", func() error { return w.SaveBatch(ctx, b) })
	after, err := w.ReadBatch(ctx, b.BatchRef)
	if err != nil {
		t.Fatalf("after the lost answer: %v", err)
	}
	check.Equal(t, after.Settled, true, "after the lost answer: after.Settled")
	check.Equal(t, after.Leases, 1, "after the lost answer: after.Leases")
}

// TestAnotherWriteIsAConflict: a lease of another call is not taken for the lease of
// this one.
func TestAnotherWriteIsAConflict(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	w.mailing(t, "m", push.Audience{Everyone: true})
	if _, err := w.StartMailing(ctx, "m", push.AllDevices, nil, []push.Shard{{Mailing: "m"}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.ReadShard(ctx, "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	second := *sh
	if err := w.LeaseShard(ctx, sh, w.clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseShard(ctx, &second, w.clock.Now().Add(2*time.Minute)); !store.IsRevisionConflict(err) {
		t.Errorf("a second call took the shard, too: %v", err)
	}
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: "00-000000"}, CreatedAt: w.clock.Now(), Results: make([]push.Result, 1),
		Targets: []push.Target{{Customer: "a", Token: "x", Kind: push.KindToken}}}
	if err := w.CreateBatches(ctx, sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	mine, err := w.ReadBatch(ctx, b.BatchRef)
	if err != nil {
		t.Fatal(err)
	}
	other := *mine
	until := w.clock.Now().Add(time.Minute)
	if err := w.LeaseBatch(ctx, mine, push.Lease{Owner: "me", Until: until}); err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(ctx, &other, push.Lease{Owner: "other", Until: until}); !store.IsRevisionConflict(err) {
		t.Errorf("a second owner leased the batch, too: %v", err)
	}
	other.Results = []push.Result{push.ResultAccepted}
	if err := w.SaveBatch(ctx, &other); !store.IsRevisionConflict(err) {
		t.Errorf("results of a lease that another call has were stored: %v", err)
	}
}
