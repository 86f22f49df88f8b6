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
	marks := [][]byte{hashBytes(t, push.CustomerKey(customer))[:8]}
	for _, token := range tokens {
		marks = append(marks, hashBytes(t, push.TokenID(token)))
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

// hashBytes returns the bytes of a hash that is written as text.
func hashBytes(t *testing.T, hash string) []byte {
	t.Helper()
	b, err := base32.HexEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(hash))
	if err != nil {
		t.Fatal(err)
	}
	return b
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

// TestErasuresSearchMailingsTogether: a call searches 500 mailings for all erasures, and the
// next one continues after them. An erasure that comes meanwhile waits until they have ended.
func TestErasuresSearchMailingsTogether(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
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
	var targets []push.Target
	for _, id := range []string{"anna", "ben", "cleo", "dan"} {
		w.register(t, id, "token of "+id)
		targets = append(targets, push.Target{Customer: id, Token: "token of " + id, Kind: push.KindToken})
	}
	w.settles(t, "the-last", 0, targets...)
	erase := func(ids ...string) {
		for _, id := range ids {
			if _, err := w.EraseCustomer(ctx, id); err != nil {
				t.Fatalf("erasing %s: %v", id, err)
			}
		}
		w.clock.Add(3 * time.Minute)
	}

	erase("anna", "ben", "cleo")
	for call, want := range []int{4, 1, 1, 0} {
		w.expire(t)
		if call == 0 {
			erase("dan")
		}
		check.Equal(t, w.Count("erasures"), want, "after call %d: number of open erasures", call+1)
		snap, err := w.DB().Doc("mailings/the-last/batches/00-000000").Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		recipients, _ := snap.Data()["recipients"].([]byte)
		found := 0
		for _, target := range targets {
			if bytes.Contains(recipients, hashBytes(t, push.CustomerKey(target.Customer))[:8]) {
				found++
			}
		}
		check.Equal(t, found, want, "after call %d: number of erased customers who are recipients", call+1)
	}
}

// TestErasuresFindTheirBatches: of the batches of a mailing, which are ordered by their last
// keys. Two batches may share a customer, and those of a mailing with hours share their range.
func TestErasuresFindTheirBatches(t *testing.T) {
	t.Parallel()
	const customers = 40
	ids := make([]string, customers)
	for i := range ids {
		ids[i] = fmt.Sprintf("c%d", i)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(push.CustomerKey(a), push.CustomerKey(b)) })
	batch := func(first, last int, members ...int) *push.Batch {
		b := &push.Batch{First: push.CustomerKey(ids[first]), Last: push.CustomerKey(ids[last])}
		for _, i := range members {
			b.Targets = append(b.Targets, push.Target{Customer: ids[i], Token: "token of " + ids[i], Kind: push.KindToken})
		}
		return b
	}
	var ranges, zones []*push.Batch
	for i := 0; i < customers; i += 4 {
		ranges = append(ranges, batch(i, min(i+4, customers-1), i, i+1, i+2, i+3, min(i+4, customers-1))) // the last one is in the next batch, too
	}
	for i := 0; i < customers; i += 20 {
		for zone := range 5 {
			zones = append(zones, batch(i, i+19, i+zone, i+zone+5, i+zone+10, i+zone+15))
		}
	}

	for name, c := range map[string]struct {
		hours   string
		batches []*push.Batch
		erased  []int
	}{
		"one":                             {"", ranges, []int{17}},
		"one in two batches":              {"", ranges, []int{20}},
		"one in two batches of two pages": {"", ranges, []int{9, 20}},
		"the first and the last":          {"", ranges, []int{0, customers - 1}},
		"neighbours":                      {"", ranges, []int{3, 4, 5, 8, 9}},
		"one of a mailing with hours":     {"hours", zones, []int{18}},
		"several of a mailing with hours": {"hours", zones, []int{0, 18, 19, 20, 39}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t)
			w.starts(t, "m")
			w.createSettled(t, "m", c.batches)
			if _, err := w.DB().Doc("mailings/m").Update(t.Context(), []firestore.Update{{Path: "hours", Value: c.hours}}); err != nil {
				t.Fatalf("setting the hours: %v", err)
			}
			for _, i := range c.erased {
				w.register(t, ids[i], "token of "+ids[i])
				if _, err := w.EraseCustomer(t.Context(), ids[i]); err != nil {
					t.Fatalf("erasing %s: %v", ids[i], err)
				}
			}

			w.clock.Add(3 * time.Minute)
			w.expire(t)

			check.Equal(t, w.Count("erasures"), 0, "number of open erasures")
			snaps, err := w.DB().Collection("mailings/m/batches").Documents(t.Context()).GetAll()
			if err != nil {
				t.Fatal(err)
			}
			for i, id := range ids {
				found := 0
				for _, snap := range snaps {
					if b, _ := snap.Data()["recipients"].([]byte); bytes.Contains(b, hashBytes(t, push.CustomerKey(id))[:8]) {
						found++
					}
				}
				if erased := slices.Contains(c.erased, i); erased != (found == 0) {
					t.Errorf("the customer at %d is a recipient in %d batches (erased: %t)", i, found, erased)
				}
			}
		})
	}
}

// createSettled creates batches of the first shard of a mailing, and settles them.
func (w *harness) createSettled(t *testing.T, mailing string, batches []*push.Batch) {
	t.Helper()
	sh, err := w.ReadShard(t.Context(), mailing, 0)
	if err != nil {
		t.Fatal(err)
	}
	var created []*push.Batch
	for i, b := range batches {
		created = append(created, &push.Batch{
			BatchRef: push.BatchRef{Mailing: mailing, Batch: fmt.Sprintf("00-%06d", i)}, CreatedAt: w.clock.Now(),
			First: b.First, Last: b.Last, Targets: b.Targets, Results: make([]push.Result, len(b.Targets)),
		})
		sh.Batches, sh.Targeted = sh.Batches+1, sh.Targeted+int64(len(b.Targets))
	}
	if err := w.CreateBatches(t.Context(), sh, created); err != nil {
		t.Fatal(err)
	}
	for _, b := range created {
		b := w.batchOf(t, b.BatchRef)
		for i := range b.Results {
			b.Results[i] = push.ResultAccepted
		}
		b.Settled = true
		if err := w.SaveBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// TestErasuresSkipWhatDoesNotDecode: a mailing, a list and batches whose fields have other types
// affect only themselves.
func TestErasuresSkipWhatDoesNotDecode(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	target := push.Target{Customer: tracelessID, Token: tracelessToken, Kind: push.KindToken}
	for _, id := range []string{"mailing", "batch", "open", "whole"} {
		w.starts(t, id)
		w.settles(t, id, 0, target)
	}
	open := w.storeBatch(t, "open", 1, target)
	w.drafts(t, "list", "Hi", push.Audience{Customers: []string{tracelessID, "stays"}})
	w.settles(t, "whole", 1, target)
	if _, err := w.DB().Doc("mailings/whole/batches/00-000001").Update(ctx, []firestore.Update{{Path: "hasInvalidTokens", Value: true}, {Path: "invalidTokens", Value: "nonsense"}}); err != nil {
		t.Fatal(err)
	}
	for path, field := range map[string]string{
		"mailings/mailing":                    "createdAt",
		"mailings/batch/batches/00-000000":    "createdAt",
		"mailings/open/batches/" + open.Batch: "createdAt",
		"mailings/list/audience/0":            "customers",
	} {
		if _, err := w.DB().Doc(path).Update(ctx, []firestore.Update{{Path: field, Value: 7}}); err != nil {
			t.Fatalf("damaging %s: %v", path, err)
		}
	}

	if _, err := w.EraseCustomer(ctx, tracelessID); err != nil {
		t.Errorf("EraseCustomer: the error is %v, want none", err)
	}
	w.clock.Add(3 * time.Minute)
	w.expire(t)

	check.Equal(t, w.Count("erasures"), 0, "number of open erasures")
	got := w.recipients(t, tracelessID, tracelessToken)
	slices.Sort(got)
	check.Equal(t, got, []string{"mailings/batch/batches/00-000000", "mailings/mailing/batches/00-000000"}, "the batches that still have the customer")
}

// TestAnErasureIsKeptAsLongAsBatches: TTL deletes an erasure that has not ended only after the
// batches that it would search, also those of the mailing that lives longest.
func TestAnErasureIsKeptAsLongAsBatches(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	lifetime := push.Duration(push.MaxLifetime)
	m := push.NewMailing("m", "digest", push.Draft{Message: []byte(`{}`), Audience: push.Audience{Everyone: true}, Lifetime: &lifetime}, w.clock.Now())
	if _, _, err := w.CreateMailing(ctx, m); err != nil {
		t.Fatal(err)
	}
	if _, err := w.StartMailing(ctx, "m", push.AllDevices, nil, []push.Shard{{Mailing: "m"}}); err != nil {
		t.Fatal(err)
	}
	w.settles(t, "m", 0, push.Target{Customer: tracelessID, Token: tracelessToken, Kind: push.KindToken})
	if _, err := w.EraseCustomer(ctx, tracelessID); err != nil {
		t.Fatal(err)
	}

	expiry := func(path string) time.Time {
		snap, err := w.DB().Doc(path).Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := snap.Data()["expireAt"].(time.Time)
		return at
	}
	batch, erasure := expiry("mailings/m/batches/00-000000"), expiry("erasures/"+push.CustomerKey(tracelessID))
	if !erasure.After(batch) {
		t.Errorf("the erasure is kept until %s, want longer than the batch, which is kept until %s", erasure, batch)
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
