package deliver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// twoVariants records a mailing with the variants a, which is the same for all, and b,
// which has a template, to n customers with one token each, in turn.
func (w *batchHarness) twoVariants(id string, proven bool, n int) push.BatchRef {
	w.t.Helper()
	var targets []push.Target
	for i := range n {
		token := fmt.Sprintf("%c-token-%d", 'a'+i%2, i)
		w.register("c-"+token, token)
		targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: push.Android, Variant: i % 2,
			Attributes: map[string]any{"name": fmt.Sprint("N", i)}})
	}
	slices.SortFunc(targets, func(x, y push.Target) int { // as dispatch reads customers
		return strings.Compare(push.CustomerKey(x.Customer), push.CustomerKey(y.Customer))
	})
	d := push.Draft{Audience: push.Audience{Everyone: true}, Variants: []push.Variant{
		{Name: "a", Share: 0.5, Message: json.RawMessage(`{"notification":{"title":"Hello"}}`)},
		{Name: "b", Share: 0.5, Message: json.RawMessage(`{"notification":{"title":"Hi {{ customer.name }}"}}`), Link: "https://x.example/b"}}}
	return w.record(id, proven, d, targets)
}

// variantTotals returns the sums of the variants, which have to be the sums of the
// mailing together.
func (w *batchHarness) variantTotals(id string) map[string]push.VariantTotals {
	w.t.Helper()
	_, totals := w.allTotals(id)
	sum, customers := push.TokenTotals{Invalid: map[string]int64{}}, int64(0)
	for _, v := range totals.Variants {
		customers += v.Customers
		sum.Targeted += v.Targeted
		sum.Accepted += v.Accepted
		sum.Refused += v.Refused
		sum.Failed += v.Failed
		sum.Expired += v.Expired
		sum.Cancelled += v.Cancelled
		sum.Pending += v.Pending
		for code, n := range v.Invalid {
			sum.Invalid[code] += n
		}
	}
	if diff := cmp.Diff(totals.Tokens, sum); diff != "" {
		w.t.Errorf("the variants of mailing %s together (-mailing +variants):\n%s", id, diff)
	}
	if customers != totals.Customers.Targeted {
		w.t.Errorf("the variants of mailing %s have %d customers together, want %d", id, customers, totals.Customers.Targeted)
	}
	return totals.Variants
}

// Each target gets the message of its variant, and the sums say what became of each.
func TestEachTargetGetsItsVariant(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.twoVariants("m", false, 10)
	w.phones.SetOutcome("b-token-3", "UNREGISTERED")
	w.variantTotals("m")

	w.deliver(ref)

	for _, m := range w.phones.Messages(phones.Filter{Mailing: "m"}) {
		var got struct {
			Notification struct{ Title string }
			Data         map[string]string
		}
		if err := json.Unmarshal(m.Raw, &got); err != nil {
			t.Fatal(err)
		}
		title, link := "Hello", ""
		if m.Token[0] == 'b' {
			title, link = "Hi N"+m.Token[len("b-token-"):], "https://x.example/b"
		}
		if got.Notification.Title != title {
			t.Errorf("%s got %q, want %q", m.Token, got.Notification.Title, title)
		}
		if got.Data["link"] != link {
			t.Errorf("%s got the link %q, want %q", m.Token, got.Data["link"], link)
		}
	}
	got := w.variantTotals("m")
	if a := got["a"]; a.Accepted != 5 {
		t.Errorf("variant a: %d accepted, want 5", a.Accepted)
	}
	b := got["b"]
	check.Equal(t, b.Accepted, 4, "variant b: tokens accepted")
	check.Equal(t, b.Invalid[push.CodeUnregistered], 1, "variant b: tokens invalid with CodeUnregistered")
	m, _ := w.totals("m")
	if !m.Proven {
		t.Error("the mailing is not recorded as proven")
	}
}

// A variant that FCM refuses ends the mailing before anything is sent.
func TestRefusedVariantEndsTheMailing(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	d := push.Draft{Audience: push.Audience{Everyone: true}, Variants: []push.Variant{
		{Name: "good", Share: 0.5, Message: json.RawMessage(`{"notification":{"title":"x"}}`)},
		{Name: "bad", Share: 0.5, Message: json.RawMessage(`{"notification":{"title":"x"},"android":{"ttl":"soon"}}`)}}}
	w.register("c-1", "good-token-1")
	ref := w.record("m", false, d, []push.Target{{Customer: "c-1", Token: "good-token-1", Kind: push.KindToken, Platform: push.Android}})

	w.deliver(ref)

	m, totals := w.totals("m")
	if m.State != push.Refused {
		t.Errorf("the mailing is %s, want refused", m.State)
	}
	if !strings.HasPrefix(m.Refusal, "variant bad: ") {
		t.Errorf("the refusal is %q, want one of the variant bad", m.Refusal)
	}
	if totals.Refused != 1 {
		t.Errorf("%d tokens are refused, want 1", totals.Refused)
	}
	if n := len(w.phones.Messages(phones.Filter{Mailing: "m"})); n != 0 {
		t.Errorf("%d messages were sent, want none", n)
	}
	w.variantTotals("m")
}

// An accepted token of another variant says nothing about the payload of an
// INVALID_ARGUMENT, and each variant is proven once.
func TestEachVariantIsItsOwnEvidence(t *testing.T) {
	t.Parallel()
	b := &push.Batch{Variants: 2, Targets: []push.Target{{Customer: "a", Variant: 0}, {Customer: "b", Variant: 1}, {Customer: "c", Variant: 0}},
		Results: []push.Result{push.ResultAccepted, push.ResultPending, push.ResultPending}}
	d := &delivery{results: results{batch: b}, mailing: &push.Mailing{}, variants: payloadSet{&payload{variant: "a"}, &payload{variant: "b"}}}
	for target, want := range map[int]bool{1: false, 2: true} {
		if got := d.evidenceOf(answer{target: target}, nil).accepted; got != want {
			t.Errorf("target %d: its payload was accepted: %v, want %v", target, got, want)
		}
	}
	if x, y := d.payloadKeyOf(answer{target: 1}), d.payloadKeyOf(answer{target: 2}); x == y {
		t.Errorf("two variants are proven as one payload, %v", x)
	}
}

// Whatever closes or empties a batch counts for the variant of each target.
func TestVariantsReconcileWhateverClosesABatch(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(w *batchHarness, ref push.BatchRef) error{
		"cancelled": func(w *batchHarness, ref push.BatchRef) error {
			if _, err := w.CancelMailing(w.t.Context(), "m"); err != nil {
				return err
			}
			return w.d.deliverAndFinish(w.t.Context(), ref, "")
		},
		"cannot be decoded": func(w *batchHarness, ref push.BatchRef) error {
			return w.CloseUndecodableBatch(w.t.Context(), ref, "test")
		},
		"stuck": func(w *batchHarness, _ push.BatchRef) error {
			_, err := w.CloseStuckBatches(w.t.Context(), "m")
			return err
		},
		"erased": func(w *batchHarness, _ push.BatchRef) error {
			_, err := w.EraseCustomer(w.t.Context(), "c-b-token-3")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			ref := w.twoVariants("m", true, 7)
			if err := do(w, ref); err != nil {
				t.Fatal(err)
			}
			got := w.variantTotals("m")
			a, b := got["a"].Targeted, got["b"].Targeted
			check.Equal(t, a, 4, "tokens of variant a")
			check.Equal(t, b, 3, "tokens of variant b")
			if name == "erased" {
				if got["b"].Cancelled != 1 {
					t.Errorf("%d tokens of variant b are cancelled, want that of the erased customer", got["b"].Cancelled)
				}
				return
			}
			if pending := got["a"].Pending + got["b"].Pending; pending != 0 {
				t.Errorf("%d tokens are pending, want none", pending)
			}
		})
	}
}
