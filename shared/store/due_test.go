package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
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

// TestOnlyOneCallMarksAsPublished: of the calls that have listed a batch, a shard or a
// mailing one publishes a message for it, and none after a call has leased it.
func TestOnlyOneCallMarksAsPublished(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	m := due(t, w)
	at := w.clock.Now()
	once := func(what string, mark func() (bool, error)) {
		t.Helper()
		for i, want := range []bool{true, false} {
			got, err := mark()
			if err != nil {
				t.Fatalf("marking %s, time %d: %v", what, i+1, err)
			}
			check.Equal(t, got, want, "whether %s is recorded as published, time %d", what, i+1)
		}
	}
	once("the start", func() (bool, error) { return w.MarkStartPublished(t.Context(), m, at) })
	if got := due(t, w).PublishedAt; !got.Equal(at) {
		t.Errorf("the start was asked for at %s, want %s", got, at)
	}

	if _, err := w.StartMailing(t.Context(), "m", push.AllDevices, nil, []push.Shard{{Mailing: "m", PublishedAt: at}}); err != nil {
		t.Fatal(err)
	}
	shard := func() store.OpenShard {
		t.Helper()
		open, err := w.ListOpenShards(t.Context(), "m")
		if err != nil {
			t.Fatalf("w.ListOpenShards: %v", err)
		}
		check.MustEqual(t, len(open), 1, "number of entries in open")
		return open[0]
	}
	listed := shard()
	once("a shard", func() (bool, error) { return w.MarkShardPublished(t.Context(), "m", listed, at.Add(time.Second)) })
	sh, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseShard(t.Context(), sh, at.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if !shard().PublishedAt.IsZero() {
		t.Error("a shard that a call has taken is still asked for")
	}

	b := &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: "b"}, CreatedAt: at, PublishedAt: at, Lane: push.LaneSmall,
		Targets: []push.Target{{Customer: "a", Token: "t"}}, Results: make([]push.Result, 1)}
	sh.Batches = 1
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	open, err := w.ListOpenBatches(t.Context(), "m")
	if err != nil {
		t.Fatalf("w.ListOpenBatches: %v", err)
	}
	if len(open) != 1 {
		t.Fatalf("%d entries, want %v: %+v", len(open), 1, open)
	}
	check.MustEqual(t, open[0].Lane, push.LaneSmall, "open[0].Lane")
	check.MustEqual(t, open[0].PublishedAt, at, "open[0].PublishedAt")
	once("a batch", func() (bool, error) { return w.MarkBatchPublished(t.Context(), open[0], at.Add(time.Second)) })
	if b, err = w.ReadBatch(t.Context(), b.BatchRef); err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(t.Context(), b, push.Lease{Owner: "x", Until: at.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	open, err = w.ListOpenBatches(t.Context(), "m")
	if err != nil {
		t.Fatalf("after the lease: %v", err)
	}
	check.Equal(t, open[0].PublishedAt.IsZero(), true, "after the lease: open[0].PublishedAt.IsZero()")
}

// TestBatchesThatArePublishedLatelyAreNotListed for tick, which would read most batches of a
// large mailing each minute.
func TestBatchesThatArePublishedLatelyAreNotListed(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.starts(t, "m")
	sh, err := w.ReadShard(t.Context(), "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	by := w.clock.Now()
	var batches []*push.Batch
	for name, at := range map[string]time.Time{"unpublished": {}, "earlier": by.Add(-time.Second), "then": by, "later": by.Add(time.Second), "leased": by.Add(time.Second), "settled": {}} {
		batches = append(batches, &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: name}, CreatedAt: by, PublishedAt: at, Lane: push.LaneSmall,
			Targets: []push.Target{{Customer: "a", Token: "t"}}, Results: make([]push.Result, 1)})
	}
	sh.Batches = len(batches)
	if err := w.CreateBatches(t.Context(), sh, batches); err != nil {
		t.Fatal(err)
	}
	leased := w.batchOf(t, push.BatchRef{Mailing: "m", Batch: "leased"})
	if err := w.LeaseBatch(t.Context(), leased, push.Lease{Owner: "x", Until: by.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	settled := w.batchOf(t, push.BatchRef{Mailing: "m", Batch: "settled"})
	settled.Settled = true
	if err := w.SaveBatch(t.Context(), settled); err != nil {
		t.Fatal(err)
	}

	list, err := w.ListBatchesPublishedBy(t.Context(), "m", by)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range list {
		got = append(got, b.Batch)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"earlier", "leased", "then", "unpublished"}, got); diff != "" {
		t.Errorf("the batches (-want +got):\n%s", diff)
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

// TestSegmentsAreReadByTheSmallest, whatever the order of their names; of any and
// all, too.
func TestSegmentsAreReadByTheSmallest(t *testing.T) {
	t.Parallel()
	read := &documents{}
	w := newHarness(t, grpc.WithStreamInterceptor(read.intercept))
	lines := make([]store.ImportLine, 3000)
	for i := range lines {
		id := fmt.Sprintf("c%d", i)
		segments := []string{"base"}
		if i%1000 == 0 {
			segments = append(segments, "rare")
		}
		lines[i] = store.ImportLine{Customer: id, Tokens: []push.Registration{{Kind: push.KindToken, Value: id, Platform: push.Android}},
			Patch: push.CustomerPatch{Segments: &segments}}
	}
	if _, _, err := w.ImportCustomers(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	for name, sel := range map[string]push.Segments{
		"large first": {All: []string{"base", "rare"}},
		"small first": {All: []string{"rare", "base"}},
		"any large":   {Any: []string{"base"}, All: []string{"rare"}},
		"any small":   {Any: []string{"rare"}, All: []string{"base"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := push.Draft{Message: []byte(`{}`), Audience: push.Audience{Segments: &sel}}
			a, err := w.OpenAudience(t.Context(), push.NewMailing("m", "m", d, w.clock.Now()))
			if err != nil {
				t.Fatal(err)
			}
			read.n.Store(0)
			p, err := a.ReadPage(t.Context(), "", "", 5000)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Members) != 3 {
				t.Errorf("%d customers, want 3", len(p.Members))
			}
			if n := read.n.Load(); n != 3 {
				t.Errorf("%d documents were read for 3 customers", n)
			}
		})
	}
}
