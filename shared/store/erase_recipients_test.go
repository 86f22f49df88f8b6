package store_test

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
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
