package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// everything reads every document below every collection.
func (w *harness) everything(t testing.TB, collections *cloudfs.CollectionIterator, out map[string]map[string]any) {
	t.Helper()
	for {
		c, err := collections.Next()
		if errors.Is(err, iterator.Done) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		refs, err := c.DocumentRefs(t.Context()).GetAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			snap, err := ref.Get(t.Context())
			if err == nil {
				_, path, _ := strings.Cut(ref.Path, "/documents/")
				out[path] = snap.Data()
			}
			w.everything(t, ref.Collections(t.Context()), out)
		}
	}
}

// traceless is who is erased, and what no document may hold then.
const (
	tracelessID, tracelessToken = "erased-customer-7f3a", "erased-token-7f3a"
	tracelessAttribute          = "attribute-of-the-erased-7f3a"
	tracelessText               = "text-to-the-erased-7f3a"
)

// drafts a mailing, and records it.
func (w *harness) drafts(t testing.TB, id, title string, a push.Audience) *push.Mailing {
	t.Helper()
	m := push.NewMailing(id, "digest-"+id, push.Draft{Message: json.RawMessage(`{"notification":{"title":"` + title + `"}}`), Audience: a}, w.clock.Now())
	if _, _, err := w.CreateMailing(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// storeBatch stores a batch with a target for each customer, who has the token of that name.
func (w *harness) storeBatch(t testing.TB, mailing string, n int, targets ...push.Target) *push.Batch {
	t.Helper()
	sh, err := w.ReadShard(t.Context(), mailing, 0)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(targets, func(a, b push.Target) int {
		return strings.Compare(push.CustomerKey(a.Customer), push.CustomerKey(b.Customer))
	})
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: mailing, Batch: fmt.Sprintf("00-%06d", n)}, CreatedAt: w.clock.Now(), Targets: targets, Results: make([]push.Result, len(targets))}
	sh.Batches, sh.Targeted = sh.Batches+1, sh.Targeted+int64(len(targets))
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	return w.batchOf(t, b.BatchRef)
}

func (w *harness) batchOf(t testing.TB, ref push.BatchRef) *push.Batch {
	t.Helper()
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stands puts the customer into every place: a paused personal mailing with a batch
// that waits and one that is settled, the list of a mailing without batches, and
// mailings to the customer alone, one of which has ended.
func (w *harness) stands(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	w.register(t, tracelessID, tracelessToken+"-2")
	w.register(t, "stays", "another")
	out := true
	if _, err := w.PatchCustomer(ctx, tracelessID, push.CustomerPatch{OptedOut: &out, Attributes: map[string]any{"name": tracelessAttribute}, By: "crm"}); err != nil {
		t.Fatal(err)
	}
	both := push.Audience{Customers: []string{tracelessID, "stays"}}
	w.drafts(t, "paused", "Hi {{ customer.name }}", both)
	w.drafts(t, "waits", "Hi", both)
	w.drafts(t, "tokens", "Hi", push.Audience{Tokens: []string{tracelessToken, "another"}})
	w.drafts(t, "own", tracelessText, push.Audience{Customers: []string{tracelessID}})
	w.drafts(t, "ended", tracelessText, push.Audience{Tokens: []string{tracelessToken}})
	if _, err := w.CancelMailing(ctx, "ended"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.StartMailing(ctx, "paused", push.AllDevices, nil, []push.Shard{{Mailing: "paused"}}); err != nil {
		t.Fatal(err)
	}
	attributes := map[string]any{"name": tracelessAttribute}
	settled := w.storeBatch(t, "paused", 0, push.Target{Customer: tracelessID, Token: tracelessToken, Kind: push.KindToken, Attributes: attributes})
	settled.Results[0], settled.Settled = push.ResultUnregistered, true
	settled.InvalidTokens = []push.InvalidToken{{Customer: tracelessID, TokenID: push.TokenID(tracelessToken), Code: push.CodeUnregistered, At: w.clock.Now()}}
	if err := w.SaveBatch(ctx, settled); err != nil {
		t.Fatal(err)
	}
	w.storeBatch(t, "paused", 1, push.Target{Customer: tracelessID, Token: tracelessToken + "-2", Kind: push.KindToken, Attributes: attributes},
		push.Target{Customer: "stays", Token: "another", Kind: push.KindToken, Attributes: map[string]any{"name": "Anna"}})
	if _, err := w.PauseMailing(ctx, "paused"); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Second)
	w.flag(t, "paused", tracelessID, tracelessToken, w.clock.Now())
	w.clock.Add(time.Second)
}

// makeRoster makes the roster of a customer, as a mailing to everyone does.
func (w *harness) makeRoster(t testing.TB, customer string) {
	t.Helper()
	s := store.New(w.DB(), store.Options{Now: w.clock.Now, RostersFrom: 1})
	everyone, err := s.OpenAudience(t.Context(), push.NewMailing("m", "m", push.Draft{Audience: push.Audience{Everyone: true}}, w.clock.Now()))
	if err != nil {
		t.Fatalf("opening the audience: %v", err)
	}
	prefix := push.CustomerKey(customer)[:2]
	p, err := everyone.ReadPage(t.Context(), prefix, push.LastKeyWith(prefix), 1000)
	if err != nil {
		t.Fatalf("reading a page: %v", err)
	}
	check.Equal(t, p.Reads.RostersWritten, 1, "rosters written")
}

// TestErasingLeavesNoTrace: after the events are published, nothing is left of the
// customer's id, tokens, attributes and texts. Hashes are left only in the objection
// and in documents that TTL deletes.
func TestErasingLeavesNoTrace(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	w.stands(t)
	w.makeRoster(t, tracelessID)
	traces := func(marks ...string) (found []string, docs map[string]map[string]any) {
		docs = map[string]map[string]any{}
		w.everything(t, w.DB().Collections(ctx), docs)
		for path, doc := range docs {
			if marked(path, doc, marks) {
				found = append(found, path)
			}
		}
		return found, docs
	}
	plain := []string{tracelessID, tracelessToken, tracelessAttribute, tracelessText}
	for mark, places := range map[string][]string{
		tracelessID:        {"customers/", "mailings/paused/batches/00-000001", "mailings/waits", "mailings/own", "outbox/", "rosters/"},
		tracelessToken:     {"customers/", "mailings/paused/batches/00-000001", "mailings/tokens", "rosters/"},
		tracelessAttribute: {"customers/", "mailings/paused/batches/00-000001"},
		tracelessText:      {"mailings/own", "mailings/ended"},
	} {
		t.Run(mark, func(t *testing.T) {
			found, _ := traces(mark)
			for _, place := range places {
				if !slices.ContainsFunc(found, func(path string) bool { return strings.HasPrefix(path, place) }) {
					t.Errorf("before the erasure %q does not stand in %s, only in %v: the test would not see it there", mark, place, found)
				}
			}
		})
	}

	events, err := w.EraseCustomer(ctx, tracelessID)
	got, want := kinds(events), "token.invalidated customer.erased "+tracelessID+"=false"
	if err != nil {
		t.Fatalf("events: %v", err)
	}
	check.MustEqual(t, got, want, "events of the erasure")
	w.clock.Add(time.Minute)
	owed, err := w.ListUnpublishedEvents(ctx, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.MarkEventsPublished(ctx, owed...); err != nil {
		t.Fatal(err)
	}

	if found, _ := traces(plain...); len(found) > 0 {
		t.Errorf("what was erased stands in %v", found)
	}
	found, docs := traces(push.CustomerKey(tracelessID), push.TokenID(tracelessToken), push.TokenID(tracelessToken+"-2"))
	for _, path := range found {
		at, ok := docs[path]["expireAt"].(time.Time)
		if path == "objections/"+push.CustomerKey(tracelessID) {
			continue // an objection stays
		}
		if !ok {
			t.Errorf("%s has a hash of the customer and no expireAt: %v", path, docs[path])
		}
		if latest := w.clock.Now().Add(60 * 24 * time.Hour); at.After(latest) {
			t.Errorf("%s has a hash of the customer until %s, want until %s at most", path, at, latest)
		}
	}
	if events, err := w.EraseCustomer(ctx, tracelessID); err != nil {
		t.Fatalf("erasing again: %v", err)
	} else {
		check.Equal(t, len(events), 0, "erasing again: number of entries in events")
	}
}

// TestAnErasureTouchesNobodyElse: the other targets of a batch stay pending, the sums
// reconcile, and mailings to the customer alone have ended.
func TestAnErasureTouchesNobodyElse(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	w.stands(t)
	if _, err := w.EraseCustomer(ctx, tracelessID); err != nil {
		t.Fatal(err)
	}
	b := w.batchOf(t, push.BatchRef{Mailing: "paused", Batch: "00-000001"})
	for i, x := range b.Targets {
		want := push.ResultCancelled
		if x.Customer == "stays" {
			want = push.ResultPending
			check.Equal(t, x.Token, "another", "the other's target: x.Token")
			check.Equal(t, x.Attributes["name"], "Anna", `the other's target: x.Attributes["name"]`)
		}
		if b.Results[i] != want {
			t.Errorf("the result of %q is %d, want %d", x.Customer, b.Results[i], want)
		}
	}
	m, err := w.ReadMailing(ctx, "paused")
	if err != nil {
		t.Fatal(err)
	}
	totals, err := w.ReadTotals(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	got := totals.Tokens
	check.Equal(t, got.Targeted, 3, "tokens: got.Targeted")
	check.Equal(t, got.Invalid[push.CodeUnregistered], 1, "tokens: got.Invalid[push.CodeUnregistered]")
	check.Equal(t, got.Cancelled, 1, "tokens: got.Cancelled")
	check.Equal(t, got.Pending, 1, "tokens: got.Pending")
	for id, want := range map[string][]string{"waits": {"stays"}, "tokens": {"another"}} {
		m, err := w.ReadMailing(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Concat(m.Audience.Customers, m.Audience.Tokens); !slices.Equal(got, want) {
			t.Errorf("mailing %s lists %v, want %v", id, got, want)
		}
	}
	if m, err := w.ReadMailing(ctx, "own"); err != nil {
		t.Fatalf("the customer's own mailing: %v", err)
	} else {
		check.Equal(t, m.State, push.Cancelled, "the customer's own mailing: m.State")
	}
}

// TestAnErasureWaitsForABatchThatIsBeingSent: it also finds a batch that was created
// from a page which was read before. A batch that was created after the customer came
// back stays.
func TestAnErasureWaitsForABatchThatIsBeingSent(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	w.drafts(t, "m", "Hi", push.Audience{Everyone: true})
	if _, err := w.StartMailing(ctx, "m", push.AllDevices, nil, []push.Shard{{Mailing: "m"}}); err != nil {
		t.Fatal(err)
	}
	target := push.Target{Customer: tracelessID, Token: tracelessToken, Kind: push.KindToken}
	sent := w.storeBatch(t, "m", 0, target)
	if err := w.LeaseBatch(ctx, sent, push.Lease{Owner: "a call", Until: w.clock.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.EraseCustomer(ctx, tracelessID); err != nil {
		t.Fatal(err)
	}
	if err := w.SaveBatch(ctx, sent); err != nil {
		t.Fatalf("an erasure took the batch from the call that sends it: %v", err)
	}
	w.clock.Add(10 * time.Second)
	late := w.storeBatch(t, "m", 1, target)
	w.register(t, tracelessID, tracelessToken)
	w.clock.Add(2 * time.Minute)
	back := w.storeBatch(t, "m", 2, target)

	names := func(ref push.BatchRef) bool { return w.batchOf(t, ref).Targets[0].Customer == tracelessID }
	for _, c := range []struct {
		what             string
		wait             time.Duration
		sent, late, back bool
		erasures         int
	}{
		{"while the first is being sent", time.Minute, true, false, true, 1},
		{"once its lease is over", time.Hour, false, false, true, 0},
	} {
		w.clock.Add(c.wait)
		w.expire(t)
		if got := names(sent.BatchRef); got != c.sent {
			t.Errorf("%s: the batch that was sent names the customer: %t, want %t", c.what, got, c.sent)
		}
		if got := names(late.BatchRef); got != c.late {
			t.Errorf("%s: the batch created late names the customer: %t, want %t", c.what, got, c.late)
		}
		if got := names(back.BatchRef); got != c.back {
			t.Errorf("%s: the batch created after the customer came back names them: %t, want %t", c.what, got, c.back)
		}
		if got := w.Count("erasures"); got != c.erasures {
			t.Errorf("%s: %d erasures are open, want %d", c.what, got, c.erasures)
		}
	}
}

// TestATextToOneCustomerIsKeptThirtyDays: 29 days, and a day until TTL deletes it.
func TestATextToOneCustomerIsKeptThirtyDays(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for id, c := range map[string]struct {
		a    push.Audience
		most time.Duration
	}{
		"one":   {push.Audience{Customers: []string{"nobody"}}, 29 * 24 * time.Hour},
		"token": {push.Audience{Tokens: []string{"nothing"}}, 29 * 24 * time.Hour},
		"two":   {push.Audience{Customers: []string{"nobody", "noone"}}, 400 * 24 * time.Hour},
	} {
		t.Run(id, func(t *testing.T) {
			w.drafts(t, id, "x", c.a)
			if _, err := w.CancelMailing(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if _, err := w.FreezeMailing(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if err := w.MarkCompletedPublished(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			snap, err := w.DB().Doc("mailings/" + id).Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, want := snap.Data()["expireAt"], w.clock.Now().Add(c.most); got != want {
				t.Errorf("kept until %v, want %v", got, want)
			}
		})
	}
}

// marked reports whether a document, its path or its bytes contain one of the marks, at
// any depth.
func marked(path string, doc map[string]any, marks []string) bool {
	text := path + " " + plainText(doc)
	return slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(text, m) })
}

func plainText(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case map[string]any:
		text := ""
		for name, inner := range v {
			text += name + " " + plainText(inner) + " "
		}
		return text
	case []any:
		text := ""
		for _, inner := range v {
			text += plainText(inner) + " "
		}
		return text
	}
	return fmt.Sprint(v)
}
