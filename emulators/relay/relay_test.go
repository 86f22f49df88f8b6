package relay_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/relay"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// world is a relay before the database of a test, and a client of it.
type world struct {
	*relay.Relay
	db *sdk.Client
}

func open(t *testing.T) *world {
	t.Helper()
	r, err := relay.Start("127.0.0.1:0", testcloud.FirestoreAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	conn, err := grpc.NewClient("passthrough:///"+r.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()), testcloud.AsOwner())
	if err != nil {
		t.Fatal(err)
	}
	db, err := sdk.NewClient(context.Background(), testcloud.New(t).Project(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &world{r, db}
}

func (w *world) set(t *testing.T, id string) {
	t.Helper()
	if _, err := w.db.Doc("a/"+id).Set(t.Context(), map[string]any{"n": 1}); err != nil {
		t.Fatal(err)
	}
}

func TestCallsOfEveryKindPass(t *testing.T) {
	t.Parallel()
	w := open(t)
	for i := range 300 {
		w.set(t, fmt.Sprint(i))
	}
	snaps, err := w.db.Collection("a").Documents(t.Context()).GetAll() // a stream of responses
	if err != nil {
		t.Errorf("a query failed: %v", err)
	}
	if len(snaps) != 300 {
		t.Errorf("a query returns %d documents, want 300", len(snaps))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	it := w.db.Doc("a/0").Snapshots(ctx) // streams in both directions
	defer it.Stop()
	snap, err := it.Next()
	if err != nil {
		t.Fatalf("a listener failed: %v", err)
	}
	if !snap.Exists() {
		t.Error("a listener does not find the document")
	}
	w.set(t, "0")
	_, err = w.db.Doc("a/none").Get(t.Context())
	if status.Code(err) != codes.NotFound {
		t.Errorf("a missing document: %v, want NotFound", err)
	}
}

func TestARequestThatFailsIsNotDone(t *testing.T) {
	t.Parallel()
	w := open(t)
	var asked atomic.Pointer[pb.CommitRequest]
	w.SetFault(func(method string, req proto.Message) error {
		if method != "Commit" {
			return nil
		}
		asked.Store(req.(*pb.CommitRequest))
		return status.Error(codes.PermissionDenied, "not today")
	})
	_, err := w.db.Doc("a/x").Set(t.Context(), map[string]any{"n": 1})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("the error of Set is %v, want PermissionDenied", err)
	}
	switch c := asked.Load(); {
	case c == nil:
		t.Error("the fault got no request, want a commit")
	case len(c.Writes) != 1:
		t.Errorf("the fault got %d writes, want 1", len(c.Writes))
	case !strings.HasSuffix(c.Writes[0].GetUpdate().GetName(), "/a/x"):
		t.Errorf("the fault got a write of %q, want one of a/x", c.Writes[0].GetUpdate().GetName())
	}
	w.SetFault(nil)
	if _, err := w.db.Doc("a/x").Get(t.Context()); status.Code(err) != codes.NotFound {
		t.Errorf("%v; the write was passed on", err)
	}
}

func TestALostAnswerIsOfSomethingDone(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.SetFaultAfter(func(method string, _ proto.Message) error {
		if method == "Commit" {
			return status.Error(codes.PermissionDenied, "the answer is lost")
		}
		return nil
	})
	_, err := w.db.Doc("a/x").Set(t.Context(), map[string]any{"n": 1})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("the error of Set is %v, want PermissionDenied", err)
	}
	w.SetFaultAfter(nil)
	if _, err := w.db.Doc("a/x").Get(t.Context()); err != nil {
		t.Errorf("reading the document: %v, want it stored", err)
	}
}

func TestStartSaysWhyNot(t *testing.T) {
	t.Parallel()
	w := open(t)
	_, err := relay.Start(w.Addr(), "127.0.0.1:1")
	check.Error(t, "starting a second relay on the same address", err, w.Addr())
}
