package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestAnObjectionOutlivesTheCustomer until the retailer lifts it: neither an app
// that starts nor a file does.
func TestAnObjectionOutlivesTheCustomer(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	yes, no := true, false
	patch := func(out *bool) {
		t.Helper()
		w.clock.Add(time.Second)
		if _, err := w.PatchCustomer(ctx, "anna", push.CustomerPatch{OptedOut: out, By: "crm"}); err != nil {
			t.Fatal(err)
		}
	}
	erase := func() {
		t.Helper()
		w.clock.Add(time.Second)
		if _, err := w.EraseCustomer(ctx, "anna"); err != nil {
			t.Fatal(err)
		}
	}
	patch(&yes)
	for i := range 2 {
		erase()
		w.register(t, "anna", "t")
		c := w.customer(t, "anna")
		check.Equal(t, c.OptedOut, true, "c.OptedOut")
		check.Equal(t, c.ExclusionFrom(""), push.ExcludedOptedOut, `c.Exclude("")`)
		w.imports(t, importLine(t, "anna", `{"optedOut":false}`))
		if !w.customer(t, "anna").OptedOut {
			t.Errorf("%d. a file has lifted the objection", i)
		}
	}
	want := push.Consent{Decision: push.DecisionOut, Source: push.SourceKept}
	got := w.customer(t, "anna").Consents
	if len(got) != 1 {
		t.Fatalf("consents: %d entries, want %v: %+v", len(got), 1, got)
	}
	check.Equal(t, got[0].Decision, want.Decision, "consents: got[0].Decision")
	check.Equal(t, got[0].Source, want.Source, "consents: got[0].Source")
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
	w := newHarness(t)
	ctx := t.Context()
	yes, no := true, false
	for _, p := range []push.CustomerPatch{
		{OptedOut: &yes, By: "crm"}, {OptedOut: &yes, By: "again"}, {Categories: map[string]*bool{"promo": &no, "news": &yes}, By: "app"},
		{OptedOut: &no, Categories: map[string]*bool{"promo": nil}, By: "crm"},
	} {
		w.clock.Add(time.Minute)
		if _, err := w.PatchCustomer(ctx, "anna", p); err != nil {
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
		if _, err := w.PatchCustomer(ctx, "anna", push.CustomerPatch{OptedOut: &out}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.customer(t, "anna").Consents); n != push.MaxConsents {
		t.Errorf("%d decisions are kept, want %d", n, push.MaxConsents)
	}
}
