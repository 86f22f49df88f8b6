package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"
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

// TestErasingLeavesNoTrace but where a TTL policy removes it.
func TestErasingLeavesNoTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	const id, token = "erased-customer-7f3a", "erased-token-7f3a"
	w.register(t, id, token)
	w.register(t, id, token+"-2")
	w.register(t, "stays", "another")
	w.mailing(t, "m", push.Audience{Customers: []string{id}})
	if _, err := w.Start(ctx, "m", push.All, []push.Shard{{Mailing: "m"}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.Shard(ctx, "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	b := &push.Batch{Ref: push.Ref{Mailing: "m", Batch: "00-000000"}, CutAt: w.clock.Now(), Receipts: make([]push.Receipt, 1),
		Targets: []push.Target{{Customer: id, Token: token, Kind: push.KindToken}}}
	sh.Batches, sh.Targeted = 1, 1
	if err := w.Cut(ctx, sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Second)
	w.flag(t, "m", id, token, w.clock.Now())
	w.clock.Add(time.Second)
	events, err := w.Erase(ctx, id)
	if err != nil || kinds(events) != "token.invalidated "+id+"=false" {
		t.Fatalf("%s %v", kinds(events), err)
	}
	traces := 0
	marks := []string{id, push.CustomerKey(id), token, push.TokenID(token), push.TokenID(token + "-2")}
	docs := map[string]map[string]any{}
	w.everything(t, w.DB().Collections(ctx), docs)
	for path, doc := range docs {
		if !marked(path, doc, marks) {
			continue
		}
		traces++
		if at, ok := doc["expireAt"].(time.Time); !ok || at.After(w.clock.Now().Add(60*24*time.Hour)) {
			t.Errorf("%s keeps a trace for ever: %v", path, doc)
		}
	}
	if traces < 3 || len(docs) < traces+3 {
		t.Errorf("looked at %d documents and found %d traces; the test sees nothing", len(docs), traces)
	}
	if events, err := w.Erase(ctx, id); err != nil || len(events) != 0 {
		t.Errorf("erasing again: %v %v", events, err)
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
