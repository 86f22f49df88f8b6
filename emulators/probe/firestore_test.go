package probe

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// A difference in a code, in a result, and in a whole database is found.
func TestDifferencesOfFirestoreAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options firestore.Options
		fault   func(method string, request proto.Message) error
		want    string
	}{
		"a code": {fault: func(_ string, request proto.Message) error {
			if c, ok := request.(*pb.CommitRequest); ok && len(c.Writes) > 0 && strings.HasSuffix(c.Writes[0].GetUpdate().GetName(), "/__a__") {
				return status.Error(codes.FailedPrecondition, "reserved")
			}
			return nil
		}, want: "reserved id: code"},
		"aggregations": {fault: func(_ string, request proto.Message) error {
			if q, ok := request.(*pb.RunAggregationQueryRequest); ok && len(q.GetStructuredAggregationQuery().Aggregations) == 1 {
				return status.Error(codes.InvalidArgument, "no counts here")
			}
			return nil
		}, want: "count of a filter: code, result"},
		"a result": {options: firestore.Options{Optimistic: []string{sdk.DefaultDatabaseID}}, want: "write to what a transaction has read: code, result"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := serveFirestore(t, c.options)
			if c.fault != nil {
				db.SetFault(c.fault)
			}
			r := newRun(t, serveFCM(t, nil), db)
			if err := r.run(t.Context()); err != nil {
				t.Fatalf("the command fails: %v; differences are no fault", err)
			}
			check.Equal(t, differences(r.readRecord(t).Firestore.Cases), []string{c.want}, "differences")
			check.Contains(t, r.out.String(), "differs in: "+strings.SplitN(c.want, ": ", 2)[1], "the output")
		})
	}
}

// The collection is removed, whatever happened before.
func TestTheCollectionIsRemoved(t *testing.T) {
	t.Parallel()
	refuse := func(is string) func(string, context.CancelFunc) error {
		return func(method string, _ context.CancelFunc) error {
			if method == is {
				return status.Error(codes.PermissionDenied, "not this")
			}
			return nil
		}
	}
	interrupt := func(is string) func(string, context.CancelFunc) error {
		return func(method string, cancel context.CancelFunc) error {
			if method == is {
				cancel()
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		fault func(method string, cancel context.CancelFunc) error
		want  string // part of the error; "": none
		least int64  // documents that were written
	}{
		"all is well":                {func(string, context.CancelFunc) error { return nil }, "", 30},
		"the first operation fails":  {refuse("BatchGetDocuments"), "write and read: reading first", 1},
		"queries fail":               {refuse("RunQuery"), "order of types: rpc error", 10},
		"transactions fail":          {refuse("BeginTransaction"), "commit of which one write fails", 5},
		"Ctrl-C in the first writes": {interrupt("BatchGetDocuments"), "stopped before case 2", 1},
		"Ctrl-C in the queries":      {interrupt("RunQuery"), "stopped before case", 10},
		"Ctrl-C in a transaction":    {interrupt("BeginTransaction"), "stopped before case", 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			db := serveFirestore(t, firestore.Options{})
			db.SetFault(func(method string, _ proto.Message) error { return c.fault(method, cancel) })
			r := newRun(t, serveFCM(t, nil), db)

			err := r.run(ctx)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("the command fails: %v", err)
			case c.want != "":
				check.Error(t, "the command", err, c.want)
			}
			check.Between(t, db.Usage().Writes, c.least, 1000, "writes")
			db.SetFault(nil)
			check.Equal(t, collections(t, db), nil, "collections that are left")
			check.Contains(t, r.out.String(), "is removed.", "the output")
		})
	}
}

// A collection that cannot be removed is named, so that people can do it.
func TestACollectionThatIsLeftIsNamed(t *testing.T) {
	t.Parallel()
	db := serveFirestore(t, firestore.Options{})
	var listed atomic.Bool // the removal has begun: operations list no documents
	db.SetFault(func(method string, request proto.Message) error {
		if method == "ListDocuments" {
			listed.Store(true)
		}
		if method == "Commit" && listed.Load() {
			return status.Error(codes.PermissionDenied, "no deletes")
		}
		return nil
	})
	r := newRun(t, serveFCM(t, nil), db)
	err := r.run(t.Context())
	db.SetFault(nil)

	left := collections(t, db)
	check.Equal(t, len(left), 1, "collections that are left")
	check.Error(t, "the command", err, "the collection "+left[0]+" is not removed completely")
	check.Error(t, "the command", err, "firestore:delete -r "+left[0])
}

// A write that was given up and arrives later is removed, too.
func TestALateWriteIsRemoved(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	db := serveFirestore(t, firestore.Options{})
	isLate := func(request proto.Message) bool {
		c, ok := request.(*pb.CommitRequest)
		return ok && len(c.Writes) > 0 && strings.HasSuffix(c.Writes[0].GetUpdate().GetName(), "/there")
	}
	db.SetFault(func(_ string, request proto.Message) error {
		if isLate(request) {
			cancel()                    // so that the removal is next
			time.Sleep(3 * time.Second) // longer than the operation may take
		}
		return nil
	})
	written := make(chan struct{})
	db.SetFaultAfter(func(_ string, request proto.Message) error {
		if isLate(request) {
			close(written)
		}
		return nil
	})
	r := newRun(t, serveFCM(t, nil), db)
	r.limits = limits{operation: 2 * time.Second, cleanup: time.Minute, lateWrite: 4 * time.Second}
	check.Error(t, "the command", r.run(ctx), "create of a document that exists: writing there")

	<-written
	check.Equal(t, collections(t, db), nil, "collections that are left")
}
