package firestore_test

import (
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/firestore"
)

// arrivals returns a channel that reports every commit that reaches the server.
func arrivals(s *firestore.Server) <-chan struct{} {
	arrived := make(chan struct{}, 8)
	s.SetFault(func(method string, _ proto.Message) error {
		if method == "Commit" {
			arrived <- struct{}{}
		}
		return nil
	})
	return arrived
}

func TestWritesWaitForTheLocksOfATransaction(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(pb.FirestoreClient, []byte) error{
		"document":         func(c pb.FirestoreClient, tx []byte) error { _, err := get(c, "a/x", tx); return err },
		"query":            func(c pb.FirestoreClient, tx []byte) error { return queryIn(c, tx, 1) },
		"query of nothing": func(c pb.FirestoreClient, tx []byte) error { return queryIn(c, tx, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := wire(t, firestore.Options{})
			mustCommit(t, c, set("a/x", 1))
			tx := begin(t, c, nil)
			if err := read(c, tx); err != nil {
				t.Fatal(err)
			}
			arrived := arrivals(s)
			written := make(chan time.Time, 1)
			go func() {
				r, err := commit(t, c, nil, set("a/x", 2))
				if err != nil {
					t.Errorf("write: %v", err)
				}
				written <- r.GetCommitTime().AsTime()
			}()
			<-arrived
			r, err := commit(t, c, tx, set("a/y", 1))
			if err != nil {
				t.Fatalf("transaction: %v", err)
			}
			if at := <-written; !at.After(r.CommitTime.AsTime()) {
				t.Errorf("the write at %v did not wait for the transaction at %v", at, r.CommitTime.AsTime())
			}
		})
	}
}

// queryIn runs a query for n in a transaction.
func queryIn(c pb.FirestoreClient, tx []byte, n int64) error {
	_, err := queryRequest(c, &pb.RunQueryRequest{
		Parent: root, ConsistencySelector: &pb.RunQueryRequest_Transaction{Transaction: tx},
		QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: &pb.StructuredQuery{
			From: from("a"), Where: where("n", pb.StructuredQuery_FieldFilter_EQUAL, integer(n)),
		}},
	})
	return err
}

func TestOfTwoTransactionsTheOlderWinsAndTheYoungerIsAborted(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/x", 1))
	older, younger := begin(t, c, nil), begin(t, c, nil)
	for _, tx := range [][]byte{older, younger} {
		if _, err := get(c, "a/x", tx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := commit(t, c, older, set("a/x", 2)); err != nil {
		t.Errorf("older: %v", err)
	}
	_, err := commit(t, c, younger, set("a/x", 3))
	wantCode(t, "younger", err, codes.Aborted)
	retry := begin(t, c, &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadWrite_{ReadWrite: &pb.TransactionOptions_ReadWrite{RetryTransaction: younger}}})
	newest := begin(t, c, nil)
	for _, tx := range [][]byte{retry, newest} {
		if _, err := get(c, "a/x", tx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := commit(t, c, retry, set("a/x", 4)); err != nil {
		t.Errorf("a retry keeps its age: %v", err)
	}
	_, err = commit(t, c, newest, set("a/x", 5))
	wantCode(t, "newest", err, codes.Aborted)
}
