package deliver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// rpcs counts the calls of a database and can slow them down.
type rpcs struct {
	latency atomic.Int64 // of each call, nanoseconds
	begun   atomic.Int64 // transactions
}

func (r *rpcs) options() []grpc.DialOption {
	wait := func(method string) {
		if strings.HasSuffix(method, "/BeginTransaction") {
			r.begun.Add(1)
		}
		time.Sleep(time.Duration(r.latency.Load()))
	}
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
			wait(method)
			return next(ctx, method, req, reply, cc, o...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
			wait(method)
			return next(ctx, d, cc, method, o...)
		}),
	}
}

// TestAThousandFlagsFitIntoTwoCalls: a token check of an old base, with a Firestore
// that takes 100 ms for each call.
func TestAThousandFlagsFitIntoTwoCalls(t *testing.T) {
	t.Parallel()
	r := &rpcs{}
	w := newBatchHarnessOver(t, phones.Options{}, testcloud.New(t, r.options()...))
	w.deps.CallTimeout = 2 * time.Minute
	w.d = newDeliverer(w.deps)
	w.phones.SetOutcome("*", "UNREGISTERED")
	w.control()
	tokens := names("t", push.MaxBatch)
	ref := w.mailing("m", true, tokens...)

	r.latency.Store(int64(100 * time.Millisecond))
	calls := 0
	for settled := false; !settled; calls++ {
		if calls == 2 {
			t.Fatalf("after %d calls the batch is not settled", calls)
		}
		w.deliver(ref)
		b, err := w.ReadBatch(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		settled = b.Settled
	}
	r.latency.Store(0)

	if n := strings.Count(strings.Join(w.types(), " "), push.TokenInvalidated); n != push.MaxBatch {
		t.Errorf("%d tokens have an event that they are invalid, want %d", n, push.MaxBatch)
	}
	for _, token := range []string{tokens[0], tokens[push.MaxBatch-1]} {
		if got := w.invalid(token); got != push.CodeUnregistered {
			t.Errorf("token %s is flagged %q, want %q", token, got, push.CodeUnregistered)
		}
	}
}

// TestFlagsMakeProgressInSlices: each slice is stored and published before the
// next, and what a call has no time for the next one goes on with.
func TestFlagsMakeProgressInSlices(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("*", "UNREGISTERED")
	w.control()
	ref := w.mailing("m", true, names("t", 3*flagsPerSlice)...)
	stopping, stop := context.WithCancel(t.Context())
	var owed []int // how many flags the stored batch owes when a slice begins
	deps := w.deps
	deps.Stopping = stopping
	deps.Store = storetest.New(w.Store).Before(func(*storetest.Call) error {
		b, err := w.ReadBatch(t.Context(), ref)
		if err != nil {
			t.Error(err)
			return err
		}

		owed = append(owed, len(b.OwedFlags))
		if len(owed) == 2 {
			stop()
		}
		return nil
	}, storetest.FlagTokens)
	if err := newDeliverer(deps).deliverAndFinish(t.Context(), ref, ""); err != nil {
		t.Fatal(err)
	}

	if want := []int{3 * flagsPerSlice, 2 * flagsPerSlice}; !slices.Equal(owed, want) {
		t.Errorf("owed when a slice began: %v, want %v", owed, want)
	}
	if n := strings.Count(strings.Join(w.types(), " "), push.TokenInvalidated); n != 2*flagsPerSlice {
		t.Errorf("%d tokens have an event that they are invalid, want %d", n, 2*flagsPerSlice)
	}
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Settled {
		t.Error("the batch is settled, and owes flags")
	}

	w.deliver(ref)
	if m, _ := w.totals("m"); m.State != push.Completed {
		t.Errorf("mailing is %s, want %s", m.State, push.Completed)
	}
}

// TestACustomerThatDoesNotDecodeKeepsNoBatchOpen: the token is not flagged, that
// is logged, and the batch ends.
func TestACustomerThatDoesNotDecodeKeepsNoBatchOpen(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]time.Duration{"new": 0, "outdated": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := testcloud.New(t)
			w := newBatchHarnessOver(t, phones.Options{}, l)
			journal := &testcloud.LogBuffer{}
			w.deps.Log = journal.Logger()
			w.d = newDeliverer(w.deps)
			w.phones.SetOutcome("*-token", "UNREGISTERED")
			ref := w.mailing("m", true, "broken-token", "gone-token")
			broken := map[string]any{"id": "c-broken-token", "tokens": "x"}
			if _, err := l.DB().Doc("customers/"+push.CustomerKey("c-broken-token")).Set(t.Context(), broken); err != nil {
				t.Fatal(err)
			}
			w.clock.Add(age)
			w.deliver(ref)

			m, _ := w.totals("m")
			if m.State != push.Completed {
				t.Errorf("mailing is %s, want %s", m.State, push.Completed)
			}
			if got := w.invalid("gone-token"); got != push.CodeUnregistered {
				t.Errorf("the other token is flagged %q, want %q", got, push.CodeUnregistered)
			}
			if !strings.Contains(journal.String(), "cannot be decoded") {
				t.Errorf("no line of the log says so: %s", journal)
			}
			list, _, err := w.ListInvalidTokens(t.Context(), "m", 10, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != 1 {
				t.Errorf("%d invalid tokens are listed, want the one that is flagged: %v", len(list), list)
			}
		})
	}
}

// cannotFlag makes a store whose answer for one token is that it could not be flagged.
func cannotFlag(s *store.Store, token string) *storetest.FailingStore {
	return storetest.New(s).After(func(c *storetest.Call) error {
		for i, f := range storetest.Arg[[]store.Flag](c, 0) {
			if f.TokenID == push.TokenID(token) {
				(*storetest.Result[[]store.FlagResult](c, 0))[i] = store.FlagResult{Err: errContention}
			}
		}
		return nil
	}, storetest.FlagTokens)
}

// errContention is the error of a write to a document to which many others write.
var errContention = &push.Unavailable{Err: errors.New("too much contention")}

// TestOneFlagThatFailsKeepsNoOtherWaiting, nor the mailing for ever: a day after
// its lifetime the flag is given up.
func TestOneFlagThatFailsKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("*", "UNREGISTERED")
	w.control()
	tokens := names("t", flagsPerSlice+5)
	ref := w.mailing("m", true, tokens...)
	deps := w.deps
	deps.Store = cannotFlag(w.Store, tokens[3])
	d := newDeliverer(deps)
	if err := d.deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Error("a flag that was not set was no error")
	}

	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.OwedFlags) != 1 {
		t.Errorf("%d flags are owed, want the one that failed", len(b.OwedFlags))
	}
	w.clock.Add(25 * time.Hour) // after its lifetime
	if err := d.deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Error("the flag was given up at the end of the lifetime, want a day later")
	}
	w.clock.Add(flagsGivenUp)
	if err := d.deliverAndFinish(t.Context(), ref, ""); err != nil {
		t.Errorf("a day after its lifetime: %v", err)
	}
	b, err = w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, b.Settled, true, "Settled")
}
