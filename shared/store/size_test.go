package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestACustomerWithEverythingIsSmall: 1 MiB is what a document may have.
func TestACustomerWithEverythingIsSmall(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	long := func(prefix string, n int) string { return prefix + strings.Repeat("x", n-len(prefix)) }
	id := long("customer", push.MaxCustomerID)
	for i := range push.MaxTokens {
		token := long(fmt.Sprintf("token-%d-", i), push.MaxToken)
		if _, err := w.RegisterToken(t.Context(), id, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android, App: long("app", push.MaxApp)}); err != nil {
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
	if _, err := w.PatchCustomer(t.Context(), id, p); err != nil {
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
	if size < 60<<10 {
		t.Errorf("a customer with the maximum of everything: size = %v, want at least %v", size, 60<<10)
	}
	if size > 200<<10 {
		t.Errorf("a customer with the maximum of everything: size = %v, want at most %v", size, 200<<10)
	}
}
