package firestore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// TestRequestsAreRecorded checks what a server remembers of a request of each kind.
func TestRequestsAreRecorded(t *testing.T) {
	t.Parallel()
	c, s := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/1", 1), set("a/2", 2))
	update := set("a/1", 9)
	update.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}}

	for _, test := range []struct {
		name string
		call func() error
		want firestore.Request
	}{
		{"a commit of several documents", func() error {
			_, err := commit(t, c, nil, set("a/1", 1), set("a/2", 2), &pb.Write{Operation: &pb.Write_Delete{Delete: root + "/a/3"}})
			return err
		}, firestore.Request{Method: "Commit", Path: root + "/a/1", More: 2, Code: "OK", Usage: firestore.Usage{Writes: 2, Deletes: 1}}},
		{"a refused commit", func() error { _, err := commit(t, c, nil, update); return err },
			firestore.Request{Method: "Commit", Path: root + "/a/1", Code: "ALREADY_EXISTS"}},
		{"a query", func() error { _, err := query(c, &pb.StructuredQuery{From: from("a")}); return err },
			firestore.Request{Method: "RunQuery", Path: root + "/a", Code: "OK", Usage: firestore.Usage{Reads: 2}}},
		{"a query of a group", func() error {
			group := from("a")
			group[0].AllDescendants = true
			_, err := query(c, &pb.StructuredQuery{From: group})
			return err
		}, firestore.Request{Method: "RunQuery", Path: root + "/**/a", Code: "OK", Usage: firestore.Usage{Reads: 2}}},
		{"a count", func() error { _, err := count(c, "a"); return err },
			firestore.Request{Method: "RunAggregationQuery", Path: root + "/a", Code: "OK", Usage: firestore.Usage{Reads: 1}}},
		{"a missing document", func() error {
			_, err := c.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: root + "/a/none"})
			return err
		}, firestore.Request{Method: "GetDocument", Path: root + "/a/none", Code: "NOT_FOUND", Usage: firestore.Usage{Reads: 1}}},
		{"a list", func() error {
			_, err := c.ListDocuments(t.Context(), &pb.ListDocumentsRequest{Parent: root, CollectionId: "a"})
			return err
		}, firestore.Request{Method: "ListDocuments", Path: root + "/a", Code: "OK", Usage: firestore.Usage{Reads: 2}}},
		{"a new document", func() error {
			_, err := c.CreateDocument(t.Context(), &pb.CreateDocumentRequest{Parent: root, CollectionId: "b", DocumentId: "x"})
			return err
		}, firestore.Request{Method: "CreateDocument", Path: root + "/b/x", Code: "OK", Usage: firestore.Usage{Writes: 1}}},
		{"a transaction", func() error {
			_, err := c.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: database})
			return err
		}, firestore.Request{Method: "BeginTransaction", Path: database, Code: "OK"}},
	} {
		before := s.Requests(0)[0].Number
		began := time.Now()
		err := test.call()
		got := s.Requests(before)
		check.MustEqual(t, len(got), 1, "%s: number of recorded requests", test.name)
		check.Equal(t, got[0].Message, status.Convert(err).Message(), "%s: the message", test.name)
		check.Equal(t, got[0].At.Before(began.Truncate(0)), false, "%s: the request came before it was sent", test.name)
		check.Between(t, got[0].Millis, 0, float64(time.Since(began).Milliseconds()+1), "%s: the milliseconds", test.name)
		want := test.want
		want.Number, want.At, want.Millis, want.Message = before+1, got[0].At, got[0].Millis, got[0].Message
		check.Equal(t, got[0], want, "%s", test.name)
	}
}

// TestOfEachStreamOneRequestIsRecorded checks that a stream counts once, when it ends, with
// all that it was billed.
func TestOfEachStreamOneRequestIsRecorded(t *testing.T) {
	t.Parallel()
	c, s := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/1", 1), set("a/2", 2))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	st, err := c.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	add := &pb.ListenRequest{Database: database, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: &pb.Target{
		TargetId: 1, TargetType: &pb.Target_Query{Query: &pb.Target_QueryTarget{Parent: root, QueryType: &pb.Target_QueryTarget_StructuredQuery{StructuredQuery: &pb.StructuredQuery{From: from("a")}}}},
	}}}
	if err := st.Send(add); err != nil {
		t.Fatal(err)
	}
	for documents := 0; documents < 3; {
		r, err := st.Recv()
		if err != nil {
			t.Fatalf("after %d documents: %v", documents, err)
		}
		if r.GetDocumentChange() != nil {
			documents++
		}
		if documents == 2 && r.GetTargetChange().GetTargetChangeType() == pb.TargetChange_CURRENT {
			mustCommit(t, c, set("a/3", 3))
		}
	}
	for _, r := range s.Requests(0) {
		check.NotContains(t, r.Method, "Listen", "the method of request %d while the stream is open", r.Number)
	}

	before := s.Requests(0)[0].Number
	cancel()
	var got []firestore.Request
	for len(got) == 0 && t.Context().Err() == nil {
		got = s.Requests(before)
		time.Sleep(time.Millisecond)
	}
	want := firestore.Request{Number: before + 1, Method: "Listen", Path: root + "/a", Code: "CANCELLED", Usage: firestore.Usage{Reads: 3}}
	check.MustEqual(t, len(got), 1, "number of recorded requests after the stream has ended")
	want.At, want.Millis, want.Message = got[0].At, got[0].Millis, got[0].Message
	check.Equal(t, got[0], want, "the stream")
}

// TestRequestsOverHTTP checks the answer that pages read: the newest first, only those after a
// number, at most 1,000, and all after a restart of the server.
func TestRequestsOverHTTP(t *testing.T) {
	t.Parallel()
	c, s := wire(t, firestore.Options{})
	for i := range 1005 {
		mustCommit(t, c, set(fmt.Sprint("a/", i), 1))
	}
	s.SetFault(func(string, proto.Message) error {
		return status.Error(codes.Unavailable, strings.Repeat("é", 300))
	})
	if _, err := commit(t, c, nil, set("a/1", 1)); err == nil {
		t.Error("the commit succeeded, want the error of the fault")
	}

	for _, test := range []struct {
		query           string
		number, highest int
	}{{"", 1000, 1006}, {"?after=1003", 3, 1006}, {"?after=1006", 0, 0}, {"?after=9000", 1000, 1006}} {
		got := getRequests(t, s, test.query)
		check.Equal(t, got.Last, 1006, "%q: the number of the last request", test.query)
		check.MustEqual(t, len(got.Requests), test.number, "%q: requests", test.query)
		if test.number == 0 {
			continue
		}
		check.Equal(t, got.Requests[0].Number, int64(test.highest), "%q: the first of the list", test.query)
		check.Equal(t, got.Requests[0].Code, "UNAVAILABLE", "%q: the code of a fault", test.query)
		check.Equal(t, got.Requests[0].Message, strings.Repeat("é", 250)+"…", "%q: a text of 600 bytes", test.query)
		check.Equal(t, got.Requests[test.number-1].Number, int64(test.highest-test.number+1), "%q: the last of the list", test.query)
	}
	for _, after := range []string{"x", "-1"} {
		w, err := http.Get("http://" + s.Addr() + "/emulator/requests?after=" + after)
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Close()
		check.Equal(t, w.StatusCode, http.StatusBadRequest, "after=%s: the status", after)
	}
}

type requestPage struct {
	Requests []firestore.Request
	Last     int
}

func getRequests(t *testing.T, s *firestore.Server, query string) (out requestPage) {
	t.Helper()
	w, err := http.Get("http://" + s.Addr() + "/emulator/requests" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if err := json.NewDecoder(w.Body).Decode(&out); err != nil {
		t.Fatalf("%q: %v", query, err)
	}
	return out
}

// TestDatabasesOverHTTP checks that the databases with documents are named.
func TestDatabasesOverHTTP(t *testing.T) {
	t.Parallel()
	c, s := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/1", 1))
	if _, err := c.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: "projects/empty/databases/(default)/documents/a/1"}); status.Code(err) != codes.NotFound {
		t.Errorf("a document of an empty database: %v, want NotFound", err)
	}
	w, err := http.Get("http://" + s.Addr() + "/emulator/databases")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	var got struct{ Databases []string }
	if err := json.NewDecoder(w.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	check.Equal(t, got.Databases, []string{database}, "the databases")
}
