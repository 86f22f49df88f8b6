package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"

	"carillon.example/shared/push"
)

// everything reads every document below every collection.
func (w *world) everything(t testing.TB, collections *cloudfs.CollectionIterator, out map[string]map[string]any) {
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
func (w *world) drafts(t testing.TB, id, title string, a push.Audience) *push.Mailing {
	t.Helper()
	m := push.NewMailing(id, "digest-"+id, push.Draft{Message: json.RawMessage(`{"notification":{"title":"` + title + `"}}`), Audience: a}, w.clock.Now())
	if _, _, err := w.CreateMailing(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// cuts a batch with a target for each customer, who has the token of that name.
func (w *world) cuts(t testing.TB, mailing string, n int, targets ...push.Target) *push.Batch {
	t.Helper()
	sh, err := w.Shard(t.Context(), mailing, 0)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(targets, func(a, b push.Target) int {
		return strings.Compare(push.CustomerKey(a.Customer), push.CustomerKey(b.Customer))
	})
	b := &push.Batch{Ref: push.Ref{Mailing: mailing, Batch: fmt.Sprintf("00-%06d", n)}, CutAt: w.clock.Now(), Targets: targets, Receipts: make([]push.Receipt, len(targets))}
	sh.Batches, sh.Targeted = sh.Batches+1, sh.Targeted+int64(len(targets))
	if err := w.Cut(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	return w.batchOf(t, b.Ref)
}

func (w *world) batchOf(t testing.TB, ref push.Ref) *push.Batch {
	t.Helper()
	b, err := w.Batch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stands puts the customer everywhere: in a paused personal mailing with a batch
// that waits and one that is settled, in a mailing's list that is not cut yet, and
// in mailings of their own, one of them ended.
func (w *world) stands(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	w.register(t, tracelessID, tracelessToken+"-2")
	w.register(t, "stays", "another")
	out := true
	if _, err := w.Patch(ctx, tracelessID, push.CustomerPatch{OptedOut: &out, Attributes: map[string]any{"name": tracelessAttribute}, By: "crm"}); err != nil {
		t.Fatal(err)
	}
	both := push.Audience{Customers: []string{tracelessID, "stays"}}
	w.drafts(t, "paused", "Hi {{ customer.name }}", both)
	w.drafts(t, "waits", "Hi", both)
	w.drafts(t, "tokens", "Hi", push.Audience{Tokens: []string{tracelessToken, "another"}})
	w.drafts(t, "own", tracelessText, push.Audience{Customers: []string{tracelessID}})
	w.drafts(t, "ended", tracelessText, push.Audience{Tokens: []string{tracelessToken}})
	if _, err := w.Cancel(ctx, "ended"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Start(ctx, "paused", push.All, []push.Shard{{Mailing: "paused"}}); err != nil {
		t.Fatal(err)
	}
	attributes := map[string]any{"name": tracelessAttribute}
	settled := w.cuts(t, "paused", 0, push.Target{Customer: tracelessID, Token: tracelessToken, Kind: push.KindToken, Attributes: attributes})
	settled.Receipts[0], settled.Settled = push.ReceiptUnregistered, true
	settled.Dead = []push.Dead{{Customer: tracelessID, TokenID: push.TokenID(tracelessToken), Code: push.CodeUnregistered, At: w.clock.Now()}}
	if err := w.SaveBatch(ctx, settled); err != nil {
		t.Fatal(err)
	}
	w.cuts(t, "paused", 1, push.Target{Customer: tracelessID, Token: tracelessToken + "-2", Kind: push.KindToken, Attributes: attributes},
		push.Target{Customer: "stays", Token: "another", Kind: push.KindToken, Attributes: map[string]any{"name": "Anna"}})
	if _, err := w.Pause(ctx, "paused"); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Second)
	w.flag(t, "paused", tracelessID, tracelessToken, w.clock.Now())
	w.clock.Add(time.Second)
}

// TestErasingLeavesNoTrace: of the customer's id, tokens, attributes, and texts
// written for them alone nothing is left once the events are published; of hashes
// only what a TTL removes, and the objection.
func TestErasingLeavesNoTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.stands(t)
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
	if found, docs := traces(plain...); len(found) < 8 {
		t.Fatalf("found only %v in %d documents: the test sees nothing", found, len(docs))
	}

	events, err := w.Erase(ctx, tracelessID)
	if got, want := kinds(events), "token.invalidated customer.erased "+tracelessID+"=false"; got != want || err != nil {
		t.Fatalf("events %q, %v; want %q", got, err, want)
	}
	w.clock.Add(time.Minute)
	owed, err := w.OwedEvents(ctx, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Told(ctx, owed...); err != nil {
		t.Fatal(err)
	}

	if found, _ := traces(plain...); len(found) > 0 {
		t.Errorf("what was erased stands in %v", found)
	}
	found, docs := traces(push.CustomerKey(tracelessID), push.TokenID(tracelessToken), push.TokenID(tracelessToken+"-2"))
	for _, path := range found {
		at, ok := docs[path]["expireAt"].(time.Time)
		if path != "objections/"+push.CustomerKey(tracelessID) && (!ok || at.After(w.clock.Now().Add(60*24*time.Hour))) {
			t.Errorf("%s keeps a hash for ever: %v", path, docs[path])
		}
	}
	if events, err := w.Erase(ctx, tracelessID); err != nil || len(events) != 0 {
		t.Errorf("erasing again: %v %v", events, err)
	}
}

// TestAnErasureTouchesNobodyElse: the others of a batch are still to be sent to,
// the sums reconcile, and mailings to the customer alone have ended.
func TestAnErasureTouchesNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.stands(t)
	if _, err := w.Erase(ctx, tracelessID); err != nil {
		t.Fatal(err)
	}
	b := w.batchOf(t, push.Ref{Mailing: "paused", Batch: "00-000001"})
	for i, x := range b.Targets {
		want := push.ReceiptCancelled
		if x.Customer == "stays" {
			want = push.Pending
			if x.Token != "another" || x.Attributes["name"] != "Anna" {
				t.Errorf("the other's target is %+v", x)
			}
		}
		if b.Receipts[i] != want {
			t.Errorf("the result of %q is %d, want %d", x.Customer, b.Receipts[i], want)
		}
	}
	m, err := w.Mailing(ctx, "paused")
	if err != nil {
		t.Fatal(err)
	}
	totals, err := w.Totals(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	if got := totals.Tokens; got.Targeted != 3 || got.Invalid[push.CodeUnregistered] != 1 || got.Cancelled != 1 || got.Pending != 1 {
		t.Errorf("tokens: %+v, want 3 targeted: 1 unregistered, 1 cancelled, 1 pending", got)
	}
	for id, want := range map[string][]string{"waits": {"stays"}, "tokens": {"another"}} {
		m, err := w.Mailing(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Concat(m.Audience.Customers, m.Audience.Tokens); !slices.Equal(got, want) {
			t.Errorf("mailing %s lists %v, want %v", id, got, want)
		}
	}
	if m, err := w.Mailing(ctx, "own"); err != nil || m.State != push.Cancelled {
		t.Errorf("the customer's own mailing is %+v, %v; want it cancelled", m, err)
	}
}

// TestAnErasureWaitsForABatchThatIsBeingSent, and finds what was cut from a page
// read before; who came back meanwhile keeps what was cut since.
func TestAnErasureWaitsForABatchThatIsBeingSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.register(t, tracelessID, tracelessToken)
	w.drafts(t, "m", "Hi", push.Audience{Everyone: true})
	if _, err := w.Start(ctx, "m", push.All, []push.Shard{{Mailing: "m"}}); err != nil {
		t.Fatal(err)
	}
	target := push.Target{Customer: tracelessID, Token: tracelessToken, Kind: push.KindToken}
	sent := w.cuts(t, "m", 0, target)
	if err := w.Lease(ctx, sent, push.Lease{Owner: "a call", Until: w.clock.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Erase(ctx, tracelessID); err != nil {
		t.Fatal(err)
	}
	if err := w.SaveBatch(ctx, sent); err != nil {
		t.Fatalf("an erasure took the batch from the call that sends it: %v", err)
	}
	w.clock.Add(10 * time.Second)
	late := w.cuts(t, "m", 1, target)
	w.register(t, tracelessID, tracelessToken)
	w.clock.Add(2 * time.Minute)
	back := w.cuts(t, "m", 2, target)

	names := func(ref push.Ref) bool { return w.batchOf(t, ref).Targets[0].Customer == tracelessID }
	for _, c := range []struct {
		what             string
		wait             time.Duration
		sent, late, back bool
		orders           int
	}{
		{"while the first is being sent", time.Minute, true, false, true, 1},
		{"once its lease is over", time.Hour, false, false, true, 0},
	} {
		w.clock.Add(c.wait)
		w.expire(t)
		if got := names(sent.Ref); got != c.sent {
			t.Errorf("%s: the batch that was sent names the customer: %t, want %t", c.what, got, c.sent)
		}
		if got := names(late.Ref); got != c.late {
			t.Errorf("%s: the batch cut late names the customer: %t, want %t", c.what, got, c.late)
		}
		if got := names(back.Ref); got != c.back {
			t.Errorf("%s: the batch cut after the customer came back names them: %t, want %t", c.what, got, c.back)
		}
		if got := w.Count("erasures"); got != c.orders {
			t.Errorf("%s: %d erasures are open, want %d", c.what, got, c.orders)
		}
	}
}

// TestAnObjectionOutlivesTheCustomer until the retailer lifts it: neither an app
// that starts nor a file does.
func TestAnObjectionOutlivesTheCustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	yes, no := true, false
	patch := func(out *bool) {
		t.Helper()
		w.clock.Add(time.Second)
		if _, err := w.Patch(ctx, "anna", push.CustomerPatch{OptedOut: out, By: "crm"}); err != nil {
			t.Fatal(err)
		}
	}
	erase := func() {
		t.Helper()
		w.clock.Add(time.Second)
		if _, err := w.Erase(ctx, "anna"); err != nil {
			t.Fatal(err)
		}
	}
	patch(&yes)
	for i := range 2 {
		erase()
		w.register(t, "anna", "t")
		if c := w.customer(t, "anna"); !c.OptedOut || c.Exclude("") != push.OptedOut {
			t.Errorf("%d. back, anna is not opted out: %+v", i, c)
		}
		w.imports(t, importLine(t, "anna", `{"optedOut":false}`))
		if !w.customer(t, "anna").OptedOut {
			t.Errorf("%d. a file has lifted the objection", i)
		}
	}
	want := push.Consent{Decision: push.DecisionOut, Source: push.SourceKept}
	if got := w.customer(t, "anna").Consents; len(got) != 1 || got[0].Decision != want.Decision || got[0].Source != want.Source {
		t.Errorf("consents are %+v, want one: %+v", got, want)
	}
	patch(&no)
	erase()
	w.register(t, "anna", "t")
	if w.customer(t, "anna").OptedOut {
		t.Error("lifted by the retailer, the objection is back")
	}
	if n := w.Count("objections"); n != 0 {
		t.Errorf("%d objections are kept, want none", n)
	}
}

func TestEveryDecisionHasItsTimeAndSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	yes, no := true, false
	for _, p := range []push.CustomerPatch{
		{OptedOut: &yes, By: "crm"}, {OptedOut: &yes, By: "again"}, {Categories: map[string]*bool{"promo": &no, "news": &yes}, By: "app"},
		{OptedOut: &no, Categories: map[string]*bool{"promo": nil}, By: "crm"},
	} {
		w.clock.Add(time.Minute)
		if _, err := w.Patch(ctx, "anna", p); err != nil {
			t.Fatal(err)
		}
	}
	at := func(i int) time.Time { return w.clock.Now().Add(time.Duration(i-3) * time.Minute) }
	want := []push.Consent{
		{Decision: push.DecisionOut, At: at(0), Source: "crm"},
		{Category: "news", Decision: push.DecisionIn, At: at(2), Source: "app"},
		{Category: "promo", Decision: push.DecisionOut, At: at(2), Source: "app"},
		{Decision: push.DecisionIn, At: at(3), Source: "crm"},
		{Category: "promo", Decision: push.DecisionNone, At: at(3), Source: "crm"},
	}
	if d := cmp.Diff(want, w.customer(t, "anna").Consents); d != "" {
		t.Errorf("consents (-want +got):\n%s", d)
	}
	for i := range push.MaxConsents + 3 {
		out := i%2 == 0
		if _, err := w.Patch(ctx, "anna", push.CustomerPatch{OptedOut: &out}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.customer(t, "anna").Consents); n != push.MaxConsents {
		t.Errorf("%d decisions are kept, want %d", n, push.MaxConsents)
	}
}

// TestATextToOneCustomerIsKeptThirtyDays, with the day that TTL takes.
func TestATextToOneCustomerIsKeptThirtyDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, c := range map[string]struct {
		a    push.Audience
		most time.Duration
	}{
		"one":   {push.Audience{Customers: []string{"nobody"}}, 29 * 24 * time.Hour},
		"token": {push.Audience{Tokens: []string{"nothing"}}, 29 * 24 * time.Hour},
		"two":   {push.Audience{Customers: []string{"nobody", "noone"}}, 400 * 24 * time.Hour},
	} {
		w.drafts(t, id, "x", c.a)
		if _, err := w.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(t.Context(), id, func(context.Context, ...push.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		snap, err := w.DB().Doc("mailings/" + id).Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := snap.Data()["expireAt"], w.clock.Now().Add(c.most); got != want {
			t.Errorf("%s: kept until %v, want %v", id, got, want)
		}
	}
}

func marked(path string, doc map[string]any, marks []string) bool {
	text := path + fmt.Sprint(doc)
	for _, v := range doc {
		if b, ok := v.([]byte); ok {
			text += string(b)
		}
	}
	for _, m := range marks {
		if strings.Contains(text, m) {
			return true
		}
	}
	return false
}

// TestACustomerWithEverythingIsSmall: 1 MiB is what a document may have.
func TestACustomerWithEverythingIsSmall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := func(prefix string, n int) string { return prefix + strings.Repeat("x", n-len(prefix)) }
	id := long("customer", push.MaxCustomerID)
	for i := range push.MaxTokens {
		token := long(fmt.Sprintf("token-%d-", i), push.MaxToken)
		if _, err := w.Register(t.Context(), id, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android, App: long("app", push.MaxApp)}); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Add(time.Second)
	for i := range push.MaxTokens {
		w.flag(t, long("mailing", 64), id, long(fmt.Sprintf("token-%d-", i), push.MaxToken), w.clock.Now())
	}
	var segments []string
	categories, attributes := map[string]bool{}, map[string]string{}
	for i := range push.MaxCategories {
		segments = append(segments, long(fmt.Sprintf("segment-%d-", i), push.MaxName))
		categories[long(fmt.Sprintf("category-%d-", i), push.MaxName)] = false
	}
	for i := range push.MaxAttributes {
		attributes[long(fmt.Sprintf("a%d", i), 8)] = strings.Repeat("y", 140)
	}
	members := map[string]json.RawMessage{}
	for name, v := range map[string]any{"segments": segments, "categories": categories, "attributes": attributes, "timeZone": "America/Argentina/ComodRivadavia"} {
		members[name], _ = json.Marshal(v)
	}
	p, faults := push.ParsePatch(members, "body")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if _, err := w.Patch(t.Context(), id, p); err != nil {
		t.Fatal(err)
	}
	snap, err := w.DB().Doc("customers/" + push.CustomerKey(id)).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for k, v := range snap.Data() {
		b, _ := json.Marshal(v)
		size += len(k) + len(b) + 2
	}
	if size < 60<<10 || size > 200<<10 {
		t.Errorf("a customer with the maximum of everything has %d bytes", size)
	}
}
