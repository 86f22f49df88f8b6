package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/snapshot/snapshottest"
	"carillon.example/emulators/testcloud/check"
)

// TestReplaceGoesBackToASnapshot changes, adds and deletes documents after a snapshot, and uses
// another database. Replace has to leave the documents of the snapshot and nothing else, with
// indexes that are complete, and at a time after everything before.
func TestReplaceGoesBackToASnapshot(t *testing.T) {
	t.Parallel()
	const other = "projects/q/databases/second"
	e := New(Options{LookFirst: -1})
	for i := range 50 {
		commitTo(t, e, testDB, setIn(testDB, fmt.Sprint("c/", i), map[string]*pb.Value{"n": intValue(int64(i % 5))}))
	}
	first := getDocument(t, e, testDB+"/documents/c/0")
	text, saved := saveEngine(t, e)

	commitTo(t, e, testDB, setIn(testDB, "c/0", map[string]*pb.Value{"n": intValue(7)}), deleteIn(testDB, "c/1"), setIn(testDB, "d/new", nil))
	commitTo(t, e, other, setIn(other, "a/b", nil))
	changed := getDocument(t, e, testDB+"/documents/c/0").GetUpdateTime()
	changes := e.Changes()
	reads, writes, deletes := e.Usage()
	c, err := e.Replace(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, c, saved, "what was loaded")
	check.Between(t, e.Changes(), changes+1, changes+1000, "the number of changes")
	readsAfter, writesAfter, deletesAfter := e.Usage()
	check.Equal(t, []int64{readsAfter, writesAfter, deletesAfter}, []int64{reads, writes, deletes}, "the billed operations")

	again := getDocument(t, e, testDB+"/documents/c/0")
	check.Equal(t, again.GetFields()["n"].GetIntegerValue(), int64(0), "a field that had changed")
	check.Equal(t, again.GetCreateTime().AsTime(), first.GetCreateTime().AsTime(), "the create time")
	if !again.GetUpdateTime().AsTime().After(changed.AsTime()) {
		t.Errorf("the update time is %s, want one after %s, which clients have seen", again.GetUpdateTime().AsTime(), changed.AsTime())
	}
	check.Equal(t, e.Databases(), []string{testDB}, "the databases with documents")
	resaved, _ := saveEngine(t, e)
	check.Equal(t, strings.Count(resaved, "\n"), strings.Count(text, "\n"), "the lines of a snapshot afterwards")

	db, err := e.Database(testDB)
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewQuery(testDB+"/documents", &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}},
		OrderBy: []*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: "n"}}}})
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, countRows(t, db, q, Read{}), 50, "the documents that a query by n finds")
	_, _, err = db.GetAll(context.Background(), Read{Time: changed}, []string{testDB + "/documents/c/0"}, nil)
	check.Equal(t, status.Code(err), codes.FailedPrecondition, "the code of a read at a time before")
}

// TestReplaceChangesAllOrNothing checks that a snapshot that was cut, and one that comes while a
// transaction is open, change nothing.
func TestReplaceChangesAllOrNothing(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	e := New(Options{Now: func() time.Time { now = now.Add(time.Millisecond); return now }})
	commitTo(t, e, testDB, setIn(testDB, "a/b", map[string]*pb.Value{"n": intValue(1)}))
	text, _ := saveEngine(t, e)
	commitTo(t, e, testDB, setIn(testDB, "a/b", map[string]*pb.Value{"n": intValue(2)}))
	before, _ := saveEngine(t, e)
	unchanged := func(after string) {
		t.Helper()
		got, _ := saveEngine(t, e)
		check.Equal(t, snapshottest.WithoutTime([]byte(got)), snapshottest.WithoutTime([]byte(before)), "the documents after %s", after)
	}

	_, err := e.Replace(strings.NewReader(text[:len(text)-20]))
	check.Error(t, "a snapshot that was cut", err, "the file is cut")
	unchanged("a snapshot that was cut")

	db, err := e.Database(testDB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Begin(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Replace(strings.NewReader(text)); !errors.Is(err, ErrOpenTransactions) {
		t.Errorf("during a transaction the error is %v, want %v", err, ErrOpenTransactions)
	}
	unchanged("a try during a transaction")

	now = now.Add(time.Hour) // the transaction expires
	if _, err := e.Replace(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	check.Equal(t, getDocument(t, e, testDB+"/documents/a/b").GetFields()["n"].GetIntegerValue(), int64(1), "n after the transaction has expired")
}

// TestReplaceBesideOtherRequests replaces the documents again and again while others commit, run
// transactions, query, listen and save. A listener has to end with the documents of the snapshot.
func TestReplaceBesideOtherRequests(t *testing.T) {
	t.Parallel()
	e := New(Options{LockTimeout: 50 * time.Millisecond})
	for i := range 20 {
		commitTo(t, e, testDB, setIn(testDB, fmt.Sprint("c/", i), map[string]*pb.Value{"n": intValue(0)}))
	}
	text, _ := saveEngine(t, e)
	db, err := e.Database(testDB)
	if err != nil {
		t.Fatal(err)
	}
	all := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}}
	listener := db.Listen()
	got := map[string]*pb.Document{} // what a client has
	take := func(out []*pb.ListenResponse, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out {
			if d := m.GetDocumentChange().GetDocument(); d != nil {
				got[d.GetName()] = d
			}
			delete(got, m.GetDocumentDelete().GetDocument())
		}
	}
	take(listener.Add(t.Context(), &pb.Target{TargetId: 1, TargetType: &pb.Target_Query{Query: &pb.Target_QueryTarget{
		Parent: testDB + "/documents", QueryType: &pb.Target_QueryTarget_StructuredQuery{StructuredQuery: all}}}}))

	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	forever := func(do func(i int)) {
		others.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				do(i)
			}
		})
	}
	forever(func(i int) {
		_, _ = db.Commit(ctx, nil, []*pb.Write{setIn(testDB, fmt.Sprint("c/", i%30), map[string]*pb.Value{"n": intValue(int64(i))}), deleteIn(testDB, fmt.Sprint("c/", (i+7)%30))})
	})
	forever(func(int) {
		if id, err := db.Begin(nil); err == nil {
			_, _, _ = db.GetAll(ctx, Read{Transaction: id}, []string{testDB + "/documents/c/1"}, nil)
			_, _ = db.Commit(ctx, id, []*pb.Write{setIn(testDB, "c/1", nil)}) // may be aborted
		}
	})
	forever(func(int) {
		q, err := NewQuery(testDB+"/documents", all)
		if err != nil {
			t.Error(err)
			return
		}
		if rows, err := db.Query(ctx, q, Read{}); err == nil {
			_, _ = rows.Each(ctx, func(*Document) error { return nil })
		}
	})
	forever(func(int) { saveEngine(t, e) })
	replaced := 0
	for began := time.Now(); time.Since(began) < 300*time.Millisecond || replaced == 0; {
		switch _, err := e.Replace(strings.NewReader(text)); {
		case err == nil:
			replaced++
		case !errors.Is(err, ErrOpenTransactions):
			t.Fatal(err)
		}
		take(listener.Update(t.Context()))
	}
	stop()
	others.Wait()

	if _, err := e.Replace(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	take(listener.Update(t.Context()))
	check.Equal(t, len(got), 20, "the documents that the listener has")
	for name, d := range got {
		check.Equal(t, d.GetFields()["n"].GetIntegerValue(), int64(0), "n of %s", name)
	}
	t.Logf("replaced %d times", replaced)
}
