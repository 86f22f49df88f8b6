package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A batch carries the attributes that the templates name, and no others,
// whatever kind of audience they were read by.
func TestBatchesCarryOnlyNamedAttributes(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	var lines []store.ImportLine
	for i := range 3 {
		lines = append(lines, store.ImportLine{Customer: fmt.Sprint("c", i), Patch: push.CustomerPatch{Segments: &[]string{"s"},
			Attributes: map[string]any{"name": fmt.Sprint("N", i), "first name": "F", "points": int64(i), "secret": "x"}},
			Tokens: []push.Registration{{Kind: push.KindToken, Value: fmt.Sprint("token-", i), Platform: push.Android}}})
	}
	refused, _, err := w.ImportCustomers(t.Context(), lines)
	if err = errors.Join(append(refused, err)...); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]push.Audience{
		"everyone": {Everyone: true}, "segments": {Segments: &push.Segments{Any: []string{"s"}}},
		"listed": {Customers: []string{"c0", "c1", "c2"}}, "tokens": {Tokens: []string{"token-0", "token-1", "token-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.mailing(t, name, func(d *push.Draft) {
				d.Audience, d.Link = a, `https://x.example/{{ customer["first name"] }}`
				d.Message = json.RawMessage(`{"notification":{"title":"{{ customer.name }}{{ customer.none }}{{ customer.points }}{{ customer.id }}"}}`)
			})
			w.handleUntilDone(t, push.DispatchMessage{Mailing: name, Shard: push.DispatchStart})
			open, err := w.ListOpenBatches(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, o := range open {
				b, err := w.ReadBatch(t.Context(), o.BatchRef)
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range b.Targets {
					n++
					i := x.Customer[1:]
					want := map[string]any{"name": "N" + i, "first name": "F", "points": json.Number(i)}
					if diff := cmp.Diff(want, x.Attributes); diff != "" {
						t.Errorf("%s, customer %s (-want +got):\n%s", name, x.Customer, diff)
					}
				}
			}
			if n != 3 {
				t.Errorf("%s has %d targets, want 3", name, n)
			}
		})
	}
}
