package engine

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Large documents that are written repeatedly must not fill the memory with old
// versions. The oldest versions are dropped first, and reads of them fail instead
// of returning wrong data.
func TestHistoryIsGivenUpWhenItTakesTooMuchMemory(t *testing.T) {
	t.Parallel()
	db, err := New(Options{Superseded: 100_000}).Database(testDB)
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewQuery(testDB+"/documents", &pb.StructuredQuery{
		From:    []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}},
		OrderBy: []*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: "n"}, Direction: pb.StructuredQuery_ASCENDING}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var first *Commit
	for i := range 200 {
		d := &pb.Document{Name: db.documentsPrefix() + fmt.Sprint("c/", i%4), Fields: map[string]*pb.Value{
			"n": intValue(int64(i)), "b": {ValueType: &pb.Value_BytesValue{BytesValue: bytes.Repeat([]byte{1}, 5000)}},
		}}
		c, err := db.Commit(context.Background(), nil, []*pb.Write{{Operation: &pb.Write_Update{Update: d}}})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = c
		}
		if found := countRows(t, db, q, Read{}); found != min(i+1, 4) {
			t.Fatalf("%d documents after write %d", found, i)
		}
	}
	if db.history.bytes > 100_000 {
		t.Errorf("the history keeps %d bytes, want at most 100,000", db.history.bytes)
	}
	if len(db.history.changes) > 20 {
		t.Errorf("the history keeps %d changes, want at most 20", len(db.history.changes))
	}
	if n := db.collections["c"].indexes["+n"].past.len; n > 20 {
		t.Errorf("the index keeps %d past entries", n)
	}
	if _, err := db.Query(context.Background(), q, Read{Time: first.Time()}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a read of what is given up: %v", err)
	}
	then := toTimestamp(db.history.changes[0].after.at)
	if found := countRows(t, db, q, Read{Time: then}); found != 4 {
		t.Errorf("%d documents in the oldest past kept", found)
	}
}

func countRows(t *testing.T, db *Database, q *Query, r Read) (n int) {
	t.Helper()
	res, err := db.Query(context.Background(), q, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := res.Each(context.Background(), func(*Document) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}
