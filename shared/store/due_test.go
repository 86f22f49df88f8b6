package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// documents counts those that Firestore answers, as they are billed, and how
// long the longest was.
type documents struct{ n, longest atomic.Int64 }

func (d *documents) intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, cc, method, o...)
	return &documentStream{s, d}, err
}

type documentStream struct {
	grpc.ClientStream
	*documents
}

func (s *documentStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if r, ok := m.(*pb.RunQueryResponse); err == nil && ok && r.GetDocument() != nil {
		s.n.Add(1)
		s.longest.Store(max(s.longest.Load(), int64(len(r.GetDocument().String()))))
	}
	return err
}

// TestDueReadsFew: of many scheduled mailings a round reads those that start
// soon, at most 500, and no message; of paused ones those that have expired.
func TestDueReadsFew(t *testing.T) {
	t.Parallel()
	read := &documents{}
	w := newHarness(t, grpc.WithStreamInterceptor(read.intercept))
	long := json.RawMessage(`{"notification":{"title":"` + strings.Repeat("x", 3000) + `"}}`)
	create := func(id string, at time.Duration) {
		start := w.clock.Now().Add(at)
		d := push.Draft{Message: long, Audience: push.Audience{Everyone: true}, SendAt: &start}
		if _, _, err := w.CreateMailing(t.Context(), push.NewMailing(id, id, d, w.clock.Now())); err != nil {
			t.Error(err)
		}
	}
	var g errgroup.Group
	g.SetLimit(16)
	for i := range 700 {
		g.Go(func() error { create(fmt.Sprintf("later%d", i), time.Hour+time.Duration(i)*time.Second); return nil })
	}
	_ = g.Wait() // create reports
	create("soon", 30*time.Second)
	create("paused", time.Hour)
	if _, err := w.PauseMailing(t.Context(), "paused"); err != nil {
		t.Fatal(err)
	}

	due := func(until time.Duration) []*push.Mailing {
		t.Helper()
		read.n.Store(0)
		list, err := w.ListDueMailings(t.Context(), w.clock.Now().Add(until))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	soon := due(time.Minute)
	check.MustEqual(t, len(soon), 1, "number of mailings that are due within a minute")
	check.Equal(t, soon[0].ID, "soon", "id of the mailing that is due")
	check.Equal(t, soon[0].State, push.Scheduled, "state of the mailing that is due")
	if n := read.n.Load(); n > 1 {
		t.Errorf("%d documents were read for one mailing", n)
	}
	if n := read.longest.Load(); n > 2000 {
		t.Errorf("a mailing was read in %d bytes, with its message", n)
	}
	if list := due(2 * time.Hour); len(list) != 500 {
		t.Errorf("%d mailings at once, want at most 500", len(list))
	}
	w.clock.Add(48 * time.Hour)
	listed := false
	for _, m := range due(0) {
		listed = listed || m.ID == "paused"
	}
	if !listed {
		t.Error("a paused mailing whose lifetime has ended is not due")
	}
}

func due(t *testing.T, w *harness) *push.Mailing {
	t.Helper()
	list, err := w.ListDueMailings(t.Context(), w.clock.Now())
	if err != nil {
		t.Fatalf("w.ListDueMailings: %v", err)
	}
	check.MustEqual(t, len(list), 1, "number of entries in list")
	return list[0]
}

// TestAheadIsOfAllMailingsThatAreSent: the large batches of all mailings count, except
// those of paused ones. Batches of the small lane do not count.
func TestAheadIsOfAllMailingsThatAreSent(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	createBatches := func(id string, lane push.Lane, tokens int) {
		t.Helper()
		w.mailing(t, id, push.Audience{Everyone: true})
		if _, err := w.StartMailing(t.Context(), id, push.AllDevices, nil, []push.Shard{{Mailing: id}, {Mailing: id, Number: 1}}); err != nil {
			t.Fatal(err)
		}
		sh, err := w.ReadShard(t.Context(), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: "b"}, CreatedAt: w.clock.Now(), Lane: lane,
			Targets: make([]push.Target, tokens), Results: make([]push.Result, tokens)}
		if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
			t.Fatal(err)
		}
	}
	createBatches("a", push.LaneLarge, 3)
	createBatches("b", push.LaneLarge, 5)
	createBatches("c", push.LaneSmall, 7)
	want := func(want store.Ahead) {
		t.Helper()
		got, err := w.CountAhead(t.Context())
		if err != nil {
			t.Fatalf("w.CountAhead: %v", err)
		}
		check.Equal(t, got, want, "targets and mailings ahead")
	}
	want(store.Ahead{Tokens: 8, Mailings: 3})
	if _, err := w.PauseMailing(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	want(store.Ahead{Tokens: 3, Mailings: 2})
	if _, err := w.ResumeMailing(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	want(store.Ahead{Tokens: 8, Mailings: 3})
	b, err := w.ReadBatch(t.Context(), push.BatchRef{Mailing: "a", Batch: "b"})
	if err != nil {
		t.Fatal(err)
	}
	b.ClosePending(push.ResultAccepted)
	b.Settled = true
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CancelMailing(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	want(store.Ahead{Tokens: 5, Mailings: 2})
}
