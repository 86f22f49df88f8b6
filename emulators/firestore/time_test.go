package firestore_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// A clock returns a time that the test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) read() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func TestCommitTimesGrowWhileTheClockStandsOrGoesBack(t *testing.T) {
	t.Parallel()
	k := newClock()
	c, _ := wire(t, firestore.Options{Now: k.read})
	var last time.Time
	for i := range 20 {
		at := mustCommit(t, c, set("a/x", int64(i))).CommitTime.AsTime()
		if !at.After(last) {
			t.Fatalf("commit %d at %v, after one at %v", i, at, last)
		}
		last = at
		if i%5 == 4 {
			k.move(-time.Hour)
		}
	}
}

func TestAnIdleTransactionLosesItsLocks(t *testing.T) {
	t.Parallel()
	k := newClock()
	c, _ := wire(t, firestore.Options{Now: k.read})
	mustCommit(t, c, set("a/x", 1))
	tx := begin(t, c, nil)
	if _, err := get(c, "a/x", tx); err != nil {
		t.Fatal(err)
	}
	k.move(61 * time.Second)
	mustCommit(t, c, set("a/x", 2))
	_, err := commit(t, c, tx, set("a/x", 3))
	wantCode(t, "commit after the lease", err, codes.InvalidArgument)
	if !strings.Contains(err.Error(), "transaction has expired") {
		t.Errorf("%v: SDKs retry by the words \"transaction has expired\"", err)
	}
}

func TestNoTransactionOutlivesItsTotalLease(t *testing.T) {
	t.Parallel()
	k := newClock()
	c, _ := wire(t, firestore.Options{Now: k.read})
	tx := begin(t, c, nil)
	var err error
	for range 6 {
		k.move(50 * time.Second)
		if _, err = get(c, "a/x", tx); err != nil && strings.Contains(err.Error(), "expired") {
			break
		}
	}
	wantCode(t, "read after 270 s", err, codes.InvalidArgument)
}

func TestOptimisticTransactionsTakeNoLocksAndFailAtCommit(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/x", 1), set("a/y", 1))
	optimistic := &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadWrite_{ReadWrite: &pb.TransactionOptions_ReadWrite{ConcurrencyMode: pb.TransactionOptions_OPTIMISTIC}}}
	late, fine := begin(t, c, optimistic), begin(t, c, optimistic)
	for _, read := range []struct {
		tx   []byte
		path string
	}{{late, "a/x"}, {fine, "a/y"}} {
		if _, err := get(c, read.path, read.tx); err != nil {
			t.Fatal(err)
		}
	}
	mustCommit(t, c, set("a/x", 2)) // does not wait
	if d, err := get(c, "a/x", late); err != nil {
		t.Errorf("read again: %v", err)
	} else if d.Fields["n"].GetIntegerValue() != 1 {
		t.Errorf("n is %v, want 1, as the first read saw it", d.Fields["n"])
	}
	_, err := commit(t, c, late, set("a/z", 1))
	wantCode(t, "commit after another changed what was read", err, codes.Aborted)
	if _, err := commit(t, c, fine, set("a/z", 1)); err != nil {
		t.Errorf("commit with nothing changed: %v", err)
	}
}

// TestADatabaseMayBeOptimistic: its transactions are optimistic unless they ask for locks,
// and those of other databases are not.
func TestADatabaseMayBeOptimistic(t *testing.T) {
	t.Parallel()
	locking := &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadWrite_{ReadWrite: &pb.TransactionOptions_ReadWrite{ConcurrencyMode: pb.TransactionOptions_PESSIMISTIC}}}
	unspecified := &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadWrite_{ReadWrite: &pb.TransactionOptions_ReadWrite{}}}
	for name, x := range map[string]struct {
		databases []string
		options   *pb.TransactionOptions
		want      codes.Code // of the commit after another changed what was read
	}{
		"no options":       {databases: []string{"other", "(default)"}, want: codes.Aborted},
		"no mode":          {databases: []string{"(default)"}, options: unspecified, want: codes.Aborted},
		"asks for locks":   {databases: []string{"(default)"}, options: locking, want: codes.OK},
		"another database": {databases: []string{"other"}, want: codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := wire(t, firestore.Options{Optimistic: x.databases})
			mustCommit(t, c, set("a/x", 1))
			tx := begin(t, c, x.options)
			if _, err := get(c, "a/x", tx); err != nil {
				t.Fatal(err)
			}

			// A write of another waits for the locks of the transaction, if it has any.
			written := make(chan error, 1)
			go func() { _, err := commit(t, c, nil, set("a/x", 2)); written <- err }()
			if x.want == codes.Aborted {
				if err := <-written; err != nil {
					t.Fatalf("the write of another: %v", err)
				}
			}
			_, err := commit(t, c, tx, set("a/z", 1))

			check.Equal(t, status.Code(err).String(), x.want.String(), "code of the commit (%v)", err)
			if x.want == codes.OK {
				if err := <-written; err != nil {
					t.Errorf("the write of another, after the transaction: %v", err)
				}
			}
		})
	}
}

func TestAReadOnlyTransactionAtATimeReadsItAndWritesNothing(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	then := mustCommit(t, c, set("a/x", 1)).CommitTime
	mustCommit(t, c, set("a/x", 2))
	tx := begin(t, c, &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadOnly_{ReadOnly: &pb.TransactionOptions_ReadOnly{
		ConsistencySelector: &pb.TransactionOptions_ReadOnly_ReadTime{ReadTime: then},
	}}})
	if d, err := get(c, "a/x", tx); err != nil {
		t.Errorf("read at a time: %v", err)
	} else if d.Fields["n"].GetIntegerValue() != 1 {
		t.Errorf("n is %v, want 1", d.Fields["n"])
	}
	_, err := commit(t, c, tx, set("a/y", 1))
	wantCode(t, "write in a read-only transaction", err, codes.InvalidArgument)
	_, err = c.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: database, Options: &pb.TransactionOptions{Mode: &pb.TransactionOptions_ReadOnly_{
		ReadOnly: &pb.TransactionOptions_ReadOnly{ConsistencySelector: &pb.TransactionOptions_ReadOnly_ReadTime{ReadTime: timestamppb.New(time.Now().Add(time.Hour))}},
	}}})
	wantCode(t, "read time in the future", err, codes.InvalidArgument)
}

func TestHistoryReachesBackAnHour(t *testing.T) {
	t.Parallel()
	k := newClock()
	c, _ := wire(t, firestore.Options{Now: k.read})
	then := mustCommit(t, c, set("a/x", 1)).CommitTime
	mustCommit(t, c, &pb.Write{Operation: &pb.Write_Delete{Delete: root + "/a/x"}})
	at := func() error {
		_, err := c.GetDocument(t.Context(), &pb.GetDocumentRequest{Name: root + "/a/x", ConsistencySelector: &pb.GetDocumentRequest_ReadTime{ReadTime: then}})
		return err
	}
	k.move(59 * time.Minute)
	if err := at(); err != nil {
		t.Errorf("read 59 minutes back: %v", err)
	}
	k.move(2 * time.Minute)
	mustCommit(t, c, set("a/y", 1))
	wantCode(t, "read 61 minutes back", at(), codes.FailedPrecondition)
	mustCommit(t, c, set("a/x", 5))
	if d, err := get(c, "a/x", nil); err != nil {
		t.Errorf("read the new document: %v", err)
	} else if d.CreateTime.AsTime().Before(then.AsTime()) {
		t.Errorf("create time of the new document is %v, want not before %v", d.CreateTime.AsTime(), then.AsTime())
	}
}
