package store_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// settles a batch with a target for each customer, everything accepted.
func (w *harness) settles(t *testing.T, mailing string, n int, targets ...push.Target) {
	t.Helper()
	b := w.storeBatch(t, mailing, n, targets...)
	for i := range b.Results {
		b.Results[i] = push.ResultAccepted
	}
	b.Settled = true
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func (w *harness) starts(t *testing.T, mailing string) {
	t.Helper()
	w.drafts(t, mailing, "Hi", push.Audience{Everyone: true})
	if _, err := w.StartMailing(t.Context(), mailing, push.AllDevices, nil, []push.Shard{{Mailing: mailing}}); err != nil {
		t.Fatal(err)
	}
}

// recipients are the batches whose recipients have the customer's key or one of the
// tokens, by the bytes that stand for them.
func (w *harness) recipients(t *testing.T, customer string, tokens ...string) (found []string) {
	t.Helper()
	raw := func(hash string) []byte {
		b, err := base32.HexEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(hash))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	marks := [][]byte{raw(push.CustomerKey(customer))[:8]}
	for _, token := range tokens {
		marks = append(marks, raw(push.TokenID(token)))
	}

	docs := map[string]map[string]any{}
	w.everything(t, w.DB().Collections(t.Context()), docs)
	for path, doc := range docs {
		b, _ := doc["recipients"].([]byte)
		for _, mark := range marks {
			if bytes.Contains(b, mark) {
				found = append(found, path)
				break
			}
		}
	}
	return found
}

// TestAnErasureEmptiesRecipients: the customer is removed from settled batches, of a
// mailing that is sending and of one that has ended, also if the customer is in two
// batches. The others of the batches stay, and so does a batch that was created after
// the customer came back.
func TestAnErasureEmptiesRecipients(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	w.register(t, "stays", "another")
	one := push.Target{Customer: tracelessID, Token: tracelessToken, Kind: push.KindToken}
	two := push.Target{Customer: tracelessID, Token: tracelessToken + "-2", Kind: push.KindToken}
	other := push.Target{Customer: "stays", Token: "another", Kind: push.KindToken}
	w.starts(t, "going")
	w.settles(t, "going", 0, one, other)
	w.starts(t, "ended")
	w.settles(t, "ended", 0, one)
	w.settles(t, "ended", 1, two)
	if _, err := w.CancelMailing(ctx, "ended"); err != nil {
		t.Fatal(err)
	}
	if got := w.recipients(t, tracelessID, one.Token, two.Token); len(got) != 3 {
		t.Fatalf("before the erasure the customer is a recipient in %v, want three batches", got)
	}

	if _, err := w.EraseCustomer(ctx, tracelessID); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(3 * time.Minute)
	w.register(t, tracelessID, tracelessToken)
	w.settles(t, "going", 1, one)
	w.expire(t)

	got := w.recipients(t, tracelessID, one.Token, two.Token)
	if len(got) != 1 {
		t.Fatalf("recipients after the erasure: %d entries, want %v: %+v", len(got), 1, got)
	}
	if !strings.HasSuffix(got[0], "going/batches/00-000001") {
		t.Errorf("recipients after the erasure: %q, want the suffix %q", got[0], "going/batches/00-000001")
	}
	if got := w.recipients(t, "stays", "another"); len(got) != 1 {
		t.Errorf("the other customer is a recipient in %v, want one batch", got)
	}
	if got := w.Count("erasures"); got != 0 {
		t.Errorf("%d erasures are open, want none", got)
	}
}

// TestAnErasureSearchesMailingsInSteps: a call searches 500 mailings, and the next one
// continues after them.
func TestAnErasureSearchesMailingsInSteps(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	var g errgroup.Group
	g.SetLimit(8)
	for i := range 510 {
		m := push.NewMailing(fmt.Sprintf("m%03d", i), fmt.Sprint(i), push.Draft{Message: []byte(`{}`), Audience: push.Audience{Everyone: true}}, w.clock.Now())
		g.Go(func() error {
			_, _, err := w.CreateMailing(ctx, m)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Second)
	w.starts(t, "the-last")
	w.settles(t, "the-last", 0, push.Target{Customer: tracelessID, Token: tracelessToken, Kind: push.KindToken})
	if _, err := w.EraseCustomer(ctx, tracelessID); err != nil {
		t.Fatal(err)
	}

	w.clock.Add(3 * time.Minute)
	for call, want := range []int{1, 0} {
		w.expire(t)
		if got := w.Count("erasures"); got != want {
			t.Errorf("after call %d %d erasures are open, want %d", call+1, got, want)
		}
		if got := w.recipients(t, tracelessID, tracelessToken); len(got) != want {
			t.Errorf("after call %d the customer is a recipient in %v, want %d batches", call+1, got, want)
		}
	}
}

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
	for i := range 250 {
		if _, err := w.DB().Doc(fmt.Sprintf("erasures/0000%028d", i)).Set(t.Context(), map[string]any{"tokens": []string{}, "at": w.clock.Now().Add(time.Hour), "expireAt": w.clock.Now().Add(24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
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
