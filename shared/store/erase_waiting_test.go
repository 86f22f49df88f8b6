package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestALaterErasureIsNotEnded: who comes back and is erased again while the first
// erasure is finished has an erasure of its own, which the first one leaves.
func TestALaterErasureIsNotEnded(t *testing.T) {
	t.Parallel()
	var between func()
	w := newHarness(t, grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if c, ok := req.(*firestorepb.CommitRequest); ok && between != nil && len(c.Writes) == 1 && strings.Contains(c.Writes[0].GetDelete(), "/erasures/") {
			f := between
			between = nil
			f()
		}
		return next(ctx, method, req, reply, cc, o...)
	}))
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	if _, err := w.EraseCustomer(ctx, tracelessID); err != nil {
		t.Fatal(err)
	}

	w.clock.Add(3 * time.Minute)
	ran := false
	between = func() {
		ran = true
		w.register(t, tracelessID, tracelessToken)
		if _, err := w.EraseCustomer(ctx, tracelessID); err != nil {
			t.Error(err)
		}
	}
	w.expire(t)
	got := w.Count("erasures")
	check.Equal(t, ran, true, "whether the second erasure ran")
	check.Equal(t, got, 1, "erasures after a second one: number")
}

// TestAnErasureThatFailsDelaysNoOther: a batch that cannot be decoded keeps the
// erasure of its customer, and no other.
func TestAnErasureThatFailsDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "a")
	w.register(t, "ben", "b")
	w.starts(t, "m")
	broken := w.storeBatch(t, "m", 0, push.Target{Customer: "anna", Token: "a", Kind: push.KindToken})
	whole := w.storeBatch(t, "m", 1, push.Target{Customer: "ben", Token: "b", Kind: push.KindToken})
	if _, err := w.DB().Doc("mailings/m/batches/"+broken.Batch).Update(t.Context(), []firestore.Update{{Path: "targets", Value: []byte("nonsense")}}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.EraseCustomer(t.Context(), "anna") // the erasure is stored; the traces are tried again
	if _, err := w.EraseCustomer(t.Context(), "ben"); err != nil {
		t.Fatal(err)
	}

	w.clock.Add(3 * time.Minute)
	if _, err := w.ExpireTokens(t.Context(), store.ExpiryCursor{}, 10); err == nil {
		t.Error("the erasure that failed is not logged")
	}
	if got := w.batchOf(t, whole.BatchRef).Targets[0].Customer; got != "" {
		t.Errorf("ben's target names %q, want nobody", got)
	}
	got := w.erasures(t)
	if len(got) != 1 {
		t.Fatalf("open erasures: %d entries, want %v: %+v", len(got), 1, got)
	}
	check.Equal(t, got[0], push.CustomerKey("anna"), "open erasures: got[0]")
}

// TestErasuresThatWaitHideNoOther: more than one call lists, and all before it in the
// order of the keys.
func TestErasuresThatWaitHideNoOther(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	writer := w.DB().BulkWriter(t.Context())
	for i := range 2050 {
		if _, err := writer.Set(w.DB().Doc(fmt.Sprintf("erasures/0000%028d", i)), map[string]any{"tokens": []string{}, "at": w.clock.Now().Add(time.Hour), "expireAt": w.clock.Now().Add(24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	writer.End()
	last := strings.Repeat("v", 32)
	if _, err := w.DB().Doc("erasures/"+last).Set(t.Context(), map[string]any{"tokens": []string{}, "at": w.clock.Now().Add(-time.Hour), "expireAt": w.clock.Now().Add(24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}

	for calls := 0; slices.Contains(w.erasures(t), last); calls++ {
		if calls == 5 {
			t.Fatalf("after %d calls the erasure that is due has not ended", calls)
		}
		w.expire(t)
	}
}

// erasures lists the keys of erasures that have not ended.
func (w *harness) erasures(t *testing.T) (keys []string) {
	t.Helper()
	snaps, err := w.DB().Collection("erasures").Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, snap := range snaps {
		keys = append(keys, snap.Ref.ID)
	}
	return keys
}
