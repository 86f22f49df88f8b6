package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/testcloud/check"
)

// TestALoadedDatabaseAnswersQueries checks that the indexes of a loaded database are complete,
// also for documents that change or go afterwards.
func TestALoadedDatabaseAnswersQueries(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	for i := range 50 {
		commitTo(t, e, testDB, setIn(testDB, fmt.Sprint("c/", i), map[string]*pb.Value{"n": intValue(int64(i % 5))}))
	}
	text, _ := saveEngine(t, e)
	e, _ = loadEngine(t, Options{LookFirst: -1}, text)
	commitTo(t, e, testDB, setIn(testDB, "c/1", map[string]*pb.Value{"n": intValue(7)}), deleteIn(testDB, "c/2"), setIn(testDB, "c/new", map[string]*pb.Value{"n": intValue(1)}))

	db, err := e.Database(testDB)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		orders []*pb.StructuredQuery_Order
		want   int
	}{
		"by name": {nil, 50},
		"by n":    {[]*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: "n"}, Direction: pb.StructuredQuery_DESCENDING}}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := NewQuery(testDB+"/documents", &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}, OrderBy: c.orders})
			if err != nil {
				t.Fatal(err)
			}
			check.Equal(t, countRows(t, db, q, Read{}), c.want, "the number of documents")
		})
	}
}

// TestNothingBeforeARestartCanBeRead checks that commits after a restart are later than all
// before, that a read time before it is too old, and that a listener with a token from before
// starts again: the former process may have made commits that the snapshot does not have.
func TestNothingBeforeARestartCanBeRead(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	e := New(Options{Now: now})
	commitTo(t, e, testDB, setIn(testDB, "a/b", nil))
	text, _ := saveEngine(t, e)
	commitTo(t, e, testDB, setIn(testDB, "a/b", map[string]*pb.Value{"n": intValue(1)})) // is not in the snapshot
	lost := getDocument(t, e, testDB+"/documents/a/b").GetUpdateTime()

	clock = clock.Add(time.Minute)
	e, _ = loadEngine(t, Options{Now: now}, text)
	db, err := e.Database(testDB)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = db.GetAll(context.Background(), Read{Time: lost}, []string{testDB + "/documents/a/b"}, nil)
	check.Equal(t, status.Code(err), codes.FailedPrecondition, "the code of a read at a time before the restart")

	commitTo(t, e, testDB, setIn(testDB, "a/c", nil))
	if got := getDocument(t, e, testDB+"/documents/a/c").GetUpdateTime().AsTime(); !got.After(lost.AsTime()) {
		t.Errorf("a commit after the restart is at %s, want a time after %s", got, lost.AsTime())
	}
	out, err := db.Listen().Add(context.Background(), &pb.Target{TargetId: 5, ResumeType: &pb.Target_ReadTime{ReadTime: lost},
		TargetType: &pb.Target_Documents{Documents: &pb.Target_DocumentsTarget{Documents: []string{testDB + "/documents/a/b"}}}})
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, out[1].GetTargetChange().GetTargetChangeType(), pb.TargetChange_RESET, "the second message to a listener that resumes")
}

// TestTheClockMayHaveGoneBackAtARestart checks that a document of the snapshot keeps its times
// and that the next commit is later, although the clock is earlier.
func TestTheClockMayHaveGoneBackAtARestart(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	e := New(Options{Now: now})
	commitTo(t, e, testDB, setIn(testDB, "a/b", nil))
	before := getDocument(t, e, testDB+"/documents/a/b").GetUpdateTime().AsTime()
	text, _ := saveEngine(t, e)

	clock = clock.Add(-time.Hour)
	e, _ = loadEngine(t, Options{Now: now}, text)
	check.Equal(t, getDocument(t, e, testDB+"/documents/a/b").GetUpdateTime().AsTime(), before, "the update time of a document of the snapshot")
	commitTo(t, e, testDB, setIn(testDB, "a/b", map[string]*pb.Value{"n": intValue(1)}))
	if got := getDocument(t, e, testDB+"/documents/a/b").GetUpdateTime().AsTime(); !got.After(before) {
		t.Errorf("a commit after the restart is at %s, want a time after %s", got, before)
	}
}
