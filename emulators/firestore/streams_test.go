package firestore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"

	"carillon.example/emulators/firestore"
)

func TestTheWriteStreamCommitsInOrder(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	st, err := c.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exchange := func(r *pb.WriteRequest) *pb.WriteResponse {
		t.Helper()
		if err := st.Send(r); err != nil {
			t.Fatal(err)
		}
		out, err := st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	hello := exchange(&pb.WriteRequest{Database: database})
	if hello.StreamId == "" {
		t.Errorf("the handshake has no stream id, want one: %v", hello)
	}
	if len(hello.StreamToken) == 0 {
		t.Errorf("the handshake has no stream token, want one: %v", hello)
	}
	first := exchange(&pb.WriteRequest{StreamToken: hello.StreamToken, Writes: []*pb.Write{set("a/x", 1), set("a/y", 1)}})
	second := exchange(&pb.WriteRequest{StreamToken: first.StreamToken, Writes: []*pb.Write{set("a/x", 2)}})
	if got := len(first.WriteResults); got != 2 {
		t.Errorf("the first response has %d write results, want 2", got)
	}
	if got, earlier := second.CommitTime.AsTime(), first.CommitTime.AsTime(); !got.After(earlier) {
		t.Errorf("the second commit time is %v, want after %v", got, earlier)
	}
	w := set("a/x", 3)
	w.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}}
	if err := st.Send(&pb.WriteRequest{StreamToken: second.StreamToken, Writes: []*pb.Write{w}}); err != nil {
		t.Fatal(err)
	}
	_, err = st.Recv()
	wantCode(t, "a write that fails", err, codes.AlreadyExists)
}

// A listener reads a Listen stream until all targets are consistent.
type listener struct {
	pb.Firestore_ListenClient
	t     *testing.T
	token []byte
}

func listen(t *testing.T, c pb.FirestoreClient) *listener {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	st, err := c.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &listener{st, t, nil}
}

func (l *listener) add(id int32, tg *pb.Target) {
	l.t.Helper()
	tg.TargetId = id
	if err := l.Send(&pb.ListenRequest{Database: database, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: tg}}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *listener) addQuery(id int32, collection string, token []byte) {
	tg := &pb.Target{TargetType: &pb.Target_Query{Query: &pb.Target_QueryTarget{Parent: root, QueryType: &pb.Target_QueryTarget_StructuredQuery{
		StructuredQuery: &pb.StructuredQuery{From: from(collection)},
	}}}}
	if token != nil {
		tg.ResumeType = &pb.Target_ResumeToken{ResumeToken: token}
	}
	l.add(id, tg)
}

// consistent returns the messages up to the next point at which all targets agree.
func (l *listener) consistent() string {
	l.t.Helper()
	var out []string
	for {
		r, err := l.Recv()
		if err != nil {
			l.t.Fatalf("listen: %v after %v", err, out)
		}
		switch x := r.ResponseType.(type) {
		case *pb.ListenResponse_DocumentChange:
			out = append(out, fmt.Sprintf("+%s%v", x.DocumentChange.Document.Name[len(root):], x.DocumentChange.TargetIds))
		case *pb.ListenResponse_DocumentDelete:
			out = append(out, fmt.Sprintf("-%s%v", x.DocumentDelete.Document[len(root):], x.DocumentDelete.RemovedTargetIds))
		case *pb.ListenResponse_TargetChange:
			tc := x.TargetChange
			if tc.TargetChangeType == pb.TargetChange_NO_CHANGE && len(tc.TargetIds) == 0 && tc.ReadTime != nil {
				l.token = tc.ResumeToken
				return strings.Join(out, " ")
			}
			out = append(out, fmt.Sprintf("%v%v", tc.TargetChangeType, tc.TargetIds))
		}
	}
}

func (l *listener) want(want string) {
	l.t.Helper()
	if got := l.consistent(); got != want {
		l.t.Errorf("listened %q, want %q", got, want)
	}
}

func TestOneStreamFollowsSeveralTargets(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/1", 1))
	l := listen(t, c)
	l.addQuery(1, "a", nil)
	l.want("ADD[1] +/a/1[1] CURRENT[1]")
	l.add(2, &pb.Target{TargetType: &pb.Target_Documents{Documents: &pb.Target_DocumentsTarget{Documents: []string{root + "/a/2", root + "/b/1"}}}})
	l.want("ADD[2] CURRENT[2]")
	mustCommit(t, c, set("a/2", 1), set("b/1", 1), set("c/1", 1))
	l.want("+/a/2[1] +/a/2[2] +/b/1[2]")
	if err := l.Send(&pb.ListenRequest{Database: database, TargetChange: &pb.ListenRequest_RemoveTarget{RemoveTarget: 1}}); err != nil {
		t.Fatal(err)
	}
	if r, err := l.Recv(); err != nil {
		t.Fatalf("remove the target: %v", err)
	} else if got := r.GetTargetChange().GetTargetChangeType(); got != pb.TargetChange_REMOVE {
		t.Fatalf("the target change is %v, want %v", got, pb.TargetChange_REMOVE)
	}
	mustCommit(t, c, &pb.Write{Operation: &pb.Write_Delete{Delete: root + "/a/2"}}, set("a/3", 1))
	l.want("-/a/2[2]")
}

func TestAResumedTargetSendsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	k := newClock()
	c, s := wire(t, firestore.Options{Now: k.read})
	mustCommit(t, c, set("a/1", 1), set("a/2", 1), set("a/3", 1))
	first := listen(t, c)
	first.addQuery(1, "a", nil)
	first.want("ADD[1] +/a/1[1] +/a/2[1] +/a/3[1] CURRENT[1]")
	mustCommit(t, c, &pb.Write{Operation: &pb.Write_Delete{Delete: root + "/a/1"}}, set("a/2", 2))
	before := s.Usage().Reads
	second := listen(t, c)
	second.addQuery(7, "a", first.token)
	second.want("ADD[7] +/a/2[7] -/a/1[7] CURRENT[7]")
	if got := s.Usage().Reads - before; got > 2 { // the first stream may have sent its own documents by now
		t.Errorf("billed %d reads for one changed document on two streams", got)
	}
	k.move(2 * time.Hour)
	mustCommit(t, c, set("b/1", 1))
	third := listen(t, c)
	third.addQuery(9, "a", first.token)
	third.want("ADD[9] RESET[9] +/a/2[9] +/a/3[9] CURRENT[9]")
}

func TestABadTargetEndsOnlyItself(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	l := listen(t, c)
	l.addQuery(1, "a", nil)
	l.want("ADD[1] CURRENT[1]")
	l.addQuery(2, "", nil)
	r, err := l.Recv()
	if err != nil {
		t.Fatalf("add a bad target: %v", err)
	} else if got := r.GetTargetChange().GetTargetChangeType(); got != pb.TargetChange_REMOVE {
		t.Fatalf("the target change is %v, want %v", got, pb.TargetChange_REMOVE)
	} else if got := codes.Code(r.GetTargetChange().GetCause().GetCode()); got != codes.InvalidArgument {
		t.Fatalf("the cause is %v, want %v", got, codes.InvalidArgument)
	}
	mustCommit(t, c, set("a/1", 1))
	l.want("+/a/1[1]")
}

func TestAClearReachesListeners(t *testing.T) {
	t.Parallel()
	c, s := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/1", 1))
	l := listen(t, c)
	l.addQuery(1, "a", nil)
	l.want("ADD[1] +/a/1[1] CURRENT[1]")
	s.Clear()
	l.want("-/a/1[1]")
}
