package firestore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// TestReadsWaitBehindAWaitingWriter: a transaction that reads what an older commit waits to
// change waits behind it, and finds what it wrote. Another reader goes on at once.
func TestReadsWaitBehindAWaitingWriter(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(c pb.FirestoreClient, tx []byte) (int64, error){
		"document": func(c pb.FirestoreClient, tx []byte) (int64, error) {
			d, err := get(c, "a/x", tx)
			return d.GetFields()["n"].GetIntegerValue(), err
		},
		"query": func(c pb.FirestoreClient, tx []byte) (int64, error) {
			answers, err := queryRequest(c, &pb.RunQueryRequest{
				Parent: root, ConsistencySelector: &pb.RunQueryRequest_Transaction{Transaction: tx},
				QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: &pb.StructuredQuery{From: from("a")}},
			})
			if err != nil || len(answers) == 0 {
				return 0, err
			}
			return answers[0].GetDocument().GetFields()["n"].GetIntegerValue(), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := wire(t, firestore.Options{})
			mustCommit(t, c, set("a/x", 1), set("b/y", 1))
			first := begin(t, c, nil)
			if _, err := get(c, "a/x", first); err != nil {
				t.Fatal(err)
			}
			arrived := arrivals(s)
			written := make(chan error, 1)
			go func() { _, err := commit(t, c, nil, set("a/x", 2)); written <- err }()
			<-arrived
			time.Sleep(20 * time.Millisecond) // the commit waits for the first transaction

			second := begin(t, c, nil)
			if _, err := get(c, "b/y", second); err != nil {
				t.Fatalf("a read of another document: %v", err)
			}
			type answer struct {
				n   int64
				err error
			}
			found := make(chan answer, 1)
			go func() { n, err := read(c, second); found <- answer{n, err} }()
			select {
			case a := <-found:
				t.Fatalf("the read did not wait: it found %d (%v)", a.n, a.err)
			case <-time.After(100 * time.Millisecond):
			}

			if _, err := commit(t, c, first); err != nil {
				t.Fatalf("the first transaction: %v", err)
			}
			if err := <-written; err != nil {
				t.Fatalf("the commit that waited: %v", err)
			}
			a := <-found
			if a.err != nil {
				t.Fatalf("the read that waited: %v", a.err)
			}
			check.Equal(t, a.n, 2, "the value that the read found")
			if _, err := commit(t, c, second); err != nil {
				t.Errorf("the transaction of the read that waited: %v", err)
			}
		})
	}
}

// TestManyReadersAndWritersEnd: with many transactions that read and write the same few
// documents, no wait is endless, and no increment is lost.
func TestManyReadersAndWritersEnd(t *testing.T) {
	t.Parallel()
	const workers, rounds, documents = 8, 15, 3
	c, _ := wire(t, firestore.Options{})
	for i := range documents {
		mustCommit(t, c, set(fmt.Sprintf("a/%d", i), 0))
	}

	// addOne reads two documents, in an order that differs from that of the other workers,
	// and adds one to the second.
	addOne := func(worker, round int) {
		read, write := fmt.Sprintf("a/%d", (worker+round)%documents), fmt.Sprintf("a/%d", (worker+2*round+1)%documents)
		var retry []byte
		for {
			tx := begin(t, c, &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadWrite_{ReadWrite: &pb.TransactionOptions_ReadWrite{RetryTransaction: retry}}})
			retry = tx
			_, err := get(c, read, tx)
			var d *pb.Document
			if err == nil {
				d, err = get(c, write, tx)
			}
			if err == nil {
				_, err = commit(t, c, tx, set(write, d.GetFields()["n"].GetIntegerValue()+1))
			}
			if err == nil {
				return
			}
			if status.Code(err) != codes.Aborted {
				t.Errorf("worker %d, round %d: %v, want success or ABORTED", worker, round, err)
				return
			}
		}
	}
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for round := range rounds {
				addOne(worker, round)
			}
		})
	}
	all.Wait()

	sum := int64(0)
	for i := range documents {
		d, err := get(c, fmt.Sprintf("a/%d", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		sum += d.GetFields()["n"].GetIntegerValue()
	}
	check.Equal(t, sum, workers*rounds, "sum of all increments")
}
