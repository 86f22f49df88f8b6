package firestore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/emulators/firestore"
)

// The benchmarks use the real client and include its work. Run each
// for a fixed number of rounds, for instance
//
//	go test -run - -bench . -benchtime 3x ./emulators/firestore

const (
	pageSize = 500    // documents in a commit
	loaded   = 20_000 // documents read by the read benchmarks
)

func small(i int) doc {
	return doc{"id": fmt.Sprintf("customer-%d", i), "n": i, "reachable": i%2 == 0, "segment": fmt.Sprintf("s%d", i%10)}
}

func perSecond(b *testing.B, unit string, n int) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), unit+"/s")
	b.ReportMetric(0, "ns/op")
}

// commitAll writes documents [from, to) in commits of 500, four at a time.
func commitAll(tb testing.TB, c *sdk.Client, name string, from, to int) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i := from; i < to; i += pageSize {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			together(tb, c, func(tx *sdk.Transaction) error {
				for k := i; k < min(i+pageSize, to); k++ {
					if err := tx.Set(c.Doc(fmt.Sprintf("%s/d%08d", name, k)), small(k)); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	wg.Wait()
}

// together commits writes at once, through a transaction that reads nothing.
// The batch of the client is deprecated, and its BulkWriter throttles itself.
func together(tb testing.TB, c *sdk.Client, f func(*sdk.Transaction) error) {
	if err := c.RunTransaction(context.Background(), func(_ context.Context, tx *sdk.Transaction) error { return f(tx) }); err != nil {
		tb.Error(err)
	}
}

func BenchmarkBatchCommits(b *testing.B) {
	c := connect(b, start(b, firestore.Options{}).Addr())
	n := 0
	for b.Loop() {
		commitAll(b, c, "c", n, n+loaded)
		n += loaded
	}
	perSecond(b, "docs", n)
}

// BulkWriter limits its own rate: it sends batches of 20 through a limiter.
func BenchmarkBulkWriter(b *testing.B) {
	c := connect(b, start(b, firestore.Options{}).Addr())
	n := 0
	for b.Loop() {
		w := c.BulkWriter(context.Background())
		for range 2000 {
			if _, err := w.Set(c.Doc(fmt.Sprintf("c/d%08d", n)), small(n)); err != nil {
				b.Fatal(err)
			}
			n++
		}
		w.End()
	}
	perSecond(b, "docs", n)
}

func BenchmarkQueryRead(b *testing.B) {
	c := connect(b, start(b, firestore.Options{}).Addr())
	commitAll(b, c, "c", 0, loaded)
	n := 0
	for b.Loop() {
		docs, err := c.Collection("c").Documents(context.Background()).GetAll()
		if err != nil {
			b.Fatal(err)
		}
		n += len(docs)
	}
	perSecond(b, "docs", n)
}

func BenchmarkGetAll(b *testing.B) {
	c := connect(b, start(b, firestore.Options{}).Addr())
	commitAll(b, c, "c", 0, loaded)
	var refs []*sdk.DocumentRef
	for i := range loaded {
		refs = append(refs, c.Doc(fmt.Sprintf("c/d%08d", i)))
	}
	n := 0
	for b.Loop() {
		for i := 0; i < loaded; i += pageSize {
			docs, err := c.GetAll(context.Background(), refs[i:i+pageSize])
			if err != nil {
				b.Fatal(err)
			}
			n += len(docs)
		}
	}
	perSecond(b, "docs", n)
}

// BenchmarkOneDocument reads a small document without the SDK, one request after the other.
func BenchmarkOneDocument(b *testing.B) {
	c, _ := wire(b, firestore.Options{})
	mustCommit(b, c, set("a/1", 1))
	for b.Loop() {
		if _, err := c.GetDocument(context.Background(), &pb.GetDocumentRequest{Name: root + "/a/1"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTransactions(b *testing.B) {
	for _, side := range []int{1, 16} {
		b.Run(fmt.Sprintf("goroutines=%d", side), func(b *testing.B) {
			c := connect(b, start(b, firestore.Options{}).Addr())
			const each = 1000
			n := 0
			for b.Loop() {
				var wg sync.WaitGroup
				for g := range side {
					wg.Go(func() {
						for k := range each / side {
							increment(b, c.Doc(fmt.Sprintf("c/d%d-%d", g, k%100)), c)
						}
					})
				}
				wg.Wait()
				n += each / side * side
			}
			perSecond(b, "tx", n)
		})
	}
}

func increment(tb testing.TB, ref *sdk.DocumentRef, c *sdk.Client) {
	err := c.RunTransaction(context.Background(), func(_ context.Context, tx *sdk.Transaction) error {
		snaps, err := tx.GetAll([]*sdk.DocumentRef{ref})
		if err != nil {
			return err
		}
		n, _ := snaps[0].Data()["n"].(int64)
		return tx.Set(ref, doc{"n": n + 1})
	})
	if err != nil {
		tb.Error(err)
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s, err := firestore.Start("127.0.0.1:0", firestore.Options{})
		if err != nil {
			b.Fatal(err)
		}
		c := connect(b, s.Addr())
		if _, err := c.Doc("a/b").Set(context.Background(), doc{"n": 1}); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms-to-first-write")
}

// BenchmarkPage reads pages of 500 from collections of growing size. The time
// of a page must not grow with the collection.
func BenchmarkPage(b *testing.B) {
	var first time.Duration
	for _, size := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("documents=%d", size), func(b *testing.B) {
			c := connect(b, start(b, firestore.Options{}).Addr())
			commitAll(b, c, "c", 0, size)
			q := c.Collection("c").Where("reachable", "==", true).OrderBy(sdk.DocumentID, sdk.Asc).StartAfter(fmt.Sprintf("d%08d", size/2)).Limit(pageSize)
			if _, err := q.Documents(context.Background()).GetAll(); err != nil { // builds the index
				b.Fatal(err)
			}
			for b.Loop() {
				if docs, err := q.Documents(context.Background()).GetAll(); err != nil {
					b.Fatalf("read the page: %v", err)
				} else if len(docs) != pageSize {
					b.Fatalf("%d documents in the page, want %d", len(docs), pageSize)
				}
			}
			page := b.Elapsed() / time.Duration(b.N)
			if first == 0 {
				first = page
			}
			b.ReportMetric(float64(page.Microseconds())/1000, "ms/page")
			b.ReportMetric(float64(page)/float64(first), "x-smallest")
		})
	}
}
