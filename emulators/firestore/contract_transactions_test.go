package firestore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	sdk "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/firestore"
)

func TestConcurrentIncrementsAddUp(t *testing.T) {
	t.Parallel()
	c := client(t)
	ref := c.Doc("a/counter")
	const side, each = 8, 10
	var wg sync.WaitGroup
	for range side {
		wg.Go(func() {
			for range each {
				// The SDK gives up after five attempts, and this test causes contention.
				for {
					err := addOne(t.Context(), c, ref)
					if status.Code(err) == codes.Aborted {
						continue
					}
					if err != nil {
						t.Errorf("transaction: %v", err)
					}
					break
				}
			}
		})
	}
	wg.Wait()
	if n := mustGet(t, ref).Data()["n"]; n != int64(side*each) {
		t.Errorf("counter %v, want %d", n, side*each)
	}
}

func addOne(ctx context.Context, c *sdk.Client, ref *sdk.DocumentRef) error {
	return c.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
		snap, err := tx.Get(ref)
		if err != nil && status.Code(err) != codes.NotFound {
			return err
		}
		n, _ := snap.Data()["n"].(int64)
		return tx.Set(ref, doc{"n": n + 1})
	})
}

func TestCreateIfAbsentHasOneWinner(t *testing.T) {
	t.Parallel()
	c := client(t)
	ref := c.Doc("a/lock")
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			err := c.RunTransaction(t.Context(), func(_ context.Context, tx *sdk.Transaction) error {
				_, err := tx.Get(ref)
				switch {
				case err == nil:
					return errors.New("taken")
				case status.Code(err) != codes.NotFound:
					return err
				}
				return tx.Create(ref, doc{"by": i})
			})
			if err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d winners, want 1", won.Load())
	}
}

// A write into the result of a query that a transaction has run must wait for
// the transaction or make it run again.
func TestQueriesInTransactionsSeeNoPhantoms(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	col := c.Collection("seats")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for {
				err := c.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
					snaps, err := tx.Documents(col.Where("taken", "==", true)).GetAll()
					if err != nil || len(snaps) >= 3 {
						return err
					}
					return tx.Create(col.Doc(fmt.Sprint(i)), doc{"taken": true})
				})
				if status.Code(err) != codes.Aborted {
					if err != nil {
						t.Errorf("transaction: %v", err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	if snaps, err := col.Documents(ctx).GetAll(); err != nil {
		t.Errorf("read the seats: %v", err)
	} else if len(snaps) != 3 {
		t.Errorf("%d seats are taken, want 3", len(snaps))
	}
}

func TestReadOnlyTransactionsReadOneMoment(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	x, y := c.Doc("a/x"), c.Doc("a/y")
	mustSet(t, x, doc{"n": 1})
	mustSet(t, y, doc{"n": 1})
	err := c.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
		if _, err := tx.Get(x); err != nil {
			return err
		}
		mustSet(t, y, doc{"n": 2}) // does not wait: read-only transactions hold no locks
		snap, err := tx.Get(y)
		if err == nil && snap.Data()["n"] != int64(1) {
			t.Errorf("read %v, want the moment the transaction began at", snap.Data())
		}
		return err
	}, sdk.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
}

// A client that lost the response to a commit commits again. The second response
// does not say whether the first commit was stored.
func TestAClosedTransactionIsAnInvalidArgument(t *testing.T) {
	t.Parallel()
	addr := address(t)
	c := connect(t, addr)
	mustSet(t, c.Doc("a/x"), doc{"n": 1})
	raw := pb.NewFirestoreClient(dial(t, addr))
	db := strings.TrimSuffix(c.Doc("a/x").Path, "/documents/a/x")
	for _, end := range []string{"committed", "rolled back"} {
		began, err := raw.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: db})
		if err != nil {
			t.Fatal(err)
		}
		request := &pb.CommitRequest{Database: db, Transaction: began.Transaction, Writes: []*pb.Write{{
			Operation: &pb.Write_Delete{Delete: c.Doc("a/" + end).Path}}}}
		if end == "committed" {
			_, err = raw.Commit(t.Context(), request)
		} else {
			_, err = raw.Rollback(t.Context(), &pb.RollbackRequest{Database: db, Transaction: began.Transaction})
		}
		if err != nil {
			t.Fatalf("%s: %v", end, err)
		}
		_, err = raw.Commit(t.Context(), request)
		wantCode(t, "commit of a transaction that was "+end, err, codes.InvalidArgument)
	}
}

func TestFailedTransactionsLeaveNothing(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	boom := errors.New("boom")
	err := c.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
		if err := tx.Set(c.Doc("a/b"), doc{}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("%v, want boom", err)
	}
	_, err = c.Doc("a/b").Get(ctx)
	wantCode(t, "get after rollback", err, codes.NotFound)
}

func TestSixtyFourClientsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, firestore.Options{})
	var wg sync.WaitGroup
	for i := range 64 {
		c := connectTo(t, s.Addr(), "demo-busy")
		wg.Go(func() { busy(t, c, i) })
	}
	wg.Wait()
	shared := connectTo(t, s.Addr(), "demo-busy")
	res, err := shared.Collection("busy").NewAggregationQuery().WithSum("n", "n").Get(t.Context())
	if err != nil {
		t.Errorf("sum: %v", err)
	} else if got := number(t, res["n"]); got != 64*4 {
		t.Errorf("the sum is %v, want %v", got, 64*4)
	}
}

// busy runs several kinds of requests on documents that other goroutines use
// too.
func busy(t *testing.T, c *sdk.Client, i int) {
	ctx := t.Context()
	col := c.Collection("busy")
	ref := col.Doc(fmt.Sprint(i % 8))
	for range 4 {
		if _, err := ref.Set(ctx, doc{"n": sdk.Increment(1), "i": i % 4}, sdk.MergeAll); err != nil {
			t.Errorf("the error of Set is %v, want none", err)
		}
		if _, err := col.Where("i", "==", i%4).OrderBy(sdk.DocumentID, sdk.Asc).Documents(ctx).GetAll(); err != nil {
			t.Errorf("query: %v", err)
		}
		if _, err := c.GetAll(ctx, []*sdk.DocumentRef{ref, col.Doc("none")}); err != nil {
			t.Errorf("get all: %v", err)
		}
	}
	for {
		err := addOne(ctx, c, c.Doc(fmt.Sprint("counters/", i%16)))
		if err == nil {
			return
		}
		if status.Code(err) != codes.Aborted {
			t.Errorf("transaction: %v", err)
			return
		}
	}
}
