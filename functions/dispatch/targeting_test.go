package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// Customers who have no token of the wanted platform and app, and those of the control group, are counted and
// get nothing; the sums reconcile.
func TestFilterAndControlGroupAreCounted(t *testing.T) {
	t.Parallel()
	const customers = 300
	w := newHarness(t, nil)
	platforms := []push.Platform{push.Android, push.IOS, push.Web}
	lines := make([]store.ImportLine, customers)
	for i := range lines {
		lines[i].Customer = fmt.Sprint("c", i)
		lines[i].Tokens = []push.Registration{{Kind: push.KindToken, Value: fmt.Sprintf("c%d-token", i), Platform: platforms[i%3], App: "shop"}}
		if i%3 == 2 { // those with a browser have the other app on a phone
			lines[i].Tokens = append(lines[i].Tokens, push.Registration{Kind: push.KindToken, Value: fmt.Sprintf("c%d-pharmacy", i), Platform: push.Android, App: "pharmacy"})
		}
	}
	refused, _, err := w.ImportCustomers(t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		t.Fatal(err)
	}

	by := push.Targeting{Mailing: "m", ControlGroup: 0.25}
	want, control := map[string]int{}, int64(0)
	for i := range customers {
		switch {
		case i%3 != 0:
		case by.InControlGroup(fmt.Sprint("c", i)):
			control++
		default:
			want[fmt.Sprintf("c%d-token", i)] = 1
		}
	}
	if control == 0 {
		t.Fatalf("the control group has %v customers, want some", control)
	}
	if len(want) == 0 {
		t.Fatal("there are 0 customers outside of the control group, want some")
	}

	m := w.mailing(t, "m", func(d *push.Draft) {
		d.Only, d.ControlGroup = &push.Only{Platforms: []push.Platform{push.Android}, Apps: []string{"shop"}}, 0.25
	})
	w.handleUntilDone(t, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart})

	got := w.targets(t, m.ID)
	if len(got) != len(want) {
		t.Errorf("%d tokens are in batches, want %d", len(got), len(want))
	}
	for token := range got {
		if want[token] == 0 {
			t.Errorf("token %s is in a batch, want it left out: its platform or app is not wanted, or its customer is in the control group", token)
		}
	}
	totals, err := w.ReadTotals(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	excluded := push.Excluded{Filtered: 200, Control: control}
	if totals.Customers.Excluded != excluded {
		t.Errorf("excluded %+v, want %+v", totals.Customers.Excluded, excluded)
	}
	if totals.Customers.Matched != customers {
		t.Errorf("matched %d, want %d", totals.Customers.Matched, customers)
	}
}

// A mailing whose audience is larger than its sender expected sends nothing until a
// person resumes it.
func TestTooLargeAudienceWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	tokens := w.seed(t, 12)
	for most, paused := range map[int]bool{11: true, 12: false} {
		id := fmt.Sprint("m", most)
		w.mailing(t, id, func(d *push.Draft) { d.MaxCustomers = &most })
		w.handleUntilDone(t, push.DispatchMessage{Mailing: id, Shard: push.DispatchStart})

		m, err := w.ReadMailing(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.State == push.Paused && m.PausedReason == push.PausedAudience; got != paused {
			t.Errorf("at most %d customers: the mailing is %s (%s), want paused for its audience: %t", most, m.State, m.PausedReason, paused)
		}
		if !paused {
			w.checkOnce(t, id, tokens)
			continue
		}
		if n := len(w.targets(t, id)); n != 0 {
			t.Errorf("%d tokens are in batches of a paused mailing, want none", n)
		}

		if _, err := w.ResumeMailing(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		w.handleUntilDone(t, push.DispatchMessage{Mailing: id, Shard: push.DispatchStart})
		w.checkOnce(t, id, tokens)
	}
}

// Each customer gets one variant, always the same, in the shares that were asked for,
// and the templates of every variant get their attributes.
func TestVariantsShareTheAudience(t *testing.T) {
	t.Parallel()
	const customers = 2000
	w := newHarness(t, nil)
	w.seedEach(t, customers, 2)
	message := func(text string) json.RawMessage {
		return json.RawMessage(`{"notification":{"title":"` + text + `"}}`)
	}
	m := w.mailing(t, "m", func(d *push.Draft) {
		d.Message = nil
		d.Variants = []push.Variant{{Name: "a", Share: 0.2, Message: message("{{ customer.first }}")},
			{Name: "b", Share: 0.3, Message: message("{{ customer.second }}")}, {Name: "c", Share: 0.5, Message: message("x")}}
	})
	if diff := cmp.Diff([]string{"first", "second"}, attributesOf(m)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	w.handleUntilDone(t, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart})
	w.checkOnce(t, m.ID, 2*customers)

	by := push.TargetingOf(m, push.Settings{})
	open, err := w.ListOpenBatches(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[int]int64{}
	for _, o := range open {
		b, err := w.ReadBatch(t.Context(), o.BatchRef)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range b.Targets {
			tokens[x.Variant]++
			if want := by.VariantOf(x.Customer); x.Variant != want {
				t.Fatalf("customer %s gets variant %d, want %d", x.Customer, x.Variant, want)
			}
		}
	}

	totals, err := w.ReadTotals(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range m.Variants {
		got := totals.Variants[v.Name]
		if got.Targeted != tokens[i] {
			t.Errorf("variant %s: the sums say %d tokens, want %d", v.Name, got.Targeted, tokens[i])
		}
		if got.Customers != tokens[i]/2 {
			t.Errorf("variant %s: the sums say %d customers, want %d", v.Name, got.Customers, tokens[i]/2)
		}
		if share := float64(got.Customers) / customers; math.Abs(share-v.Share) > 0.05 {
			t.Errorf("variant %s: %.3f of the customers get it, want about %g", v.Name, share, v.Share)
		}
	}
}
