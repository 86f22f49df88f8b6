package deliver

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// missingAttributes records a mailing of which the variant "same" has no template and the
// variant "own" names the attribute name, to these tokens, one customer each. A token
// that begins with "same" gets that variant.
func (w *batchHarness) missingAttributes(id string, names map[string]any) push.BatchRef {
	w.t.Helper()
	var targets []push.Target
	for token, name := range names {
		w.register("c-"+token, token)
		target := push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: push.Android}
		if name != nil {
			target.Attributes = map[string]any{"name": name}
		}
		if !strings.HasPrefix(token, "same") {
			target.Variant = 1
		}
		targets = append(targets, target)
	}
	slices.SortFunc(targets, func(x, y push.Target) int { // as dispatch reads customers
		return strings.Compare(push.CustomerKey(x.Customer), push.CustomerKey(y.Customer))
	})
	d := push.Draft{Audience: push.Audience{Everyone: true}, Variants: []push.Variant{
		{Name: "same", Share: 0.5, Message: json.RawMessage(`{"notification":{"title":"Hello"}}`)},
		{Name: "own", Share: 0.5, Message: json.RawMessage(`{"notification":{"title":"Hi {{ customer.name }}"}}`)}}}
	return w.record(id, true, d, targets)
}

// missingAttribute returns how many tokens of a mailing were sent a message without an
// attribute.
func (w *batchHarness) missingAttribute(id string) int64 {
	w.t.Helper()
	_, totals := w.allTotals(id)
	return totals.MissingAttribute
}

// A token counts once if its own variant names an attribute that its customer does not
// have, and if the message was sent. It stays counted when its customer is erased.
func TestMissingAttributesAreCounted(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.missingAttributes("m", map[string]any{
		"same-token": nil, "has-token": "Anna", "zero-token": 0, // not missing
		"none-token": nil, "empty-token": "", "gone-token": nil, // missing
		"waits-token": nil,
	})
	gone := phones.Outcome{Token: "gone-token", Outcome: "UNREGISTERED"}
	waits := phones.Outcome{Token: "waits-token", Outcome: "QUOTA_DEVICE", RetryAfter: time.Hour}
	if err := w.phones.SetOutcomes(gone, waits); err != nil {
		t.Fatal(err)
	}
	if got := w.missingAttribute("m"); got != 0 {
		t.Errorf("%d tokens lack an attribute before the batch is sent, want 0", got)
	}

	w.deliver(ref)
	if got := w.missingAttribute("m"); got != 3 {
		t.Errorf("%d tokens lack an attribute, want 3: none, empty and gone", got)
	}

	w.clock.Add(10 * time.Second) // the lease has ended
	if _, err := w.EraseCustomer(t.Context(), "c-none-token"); err != nil {
		t.Fatal(err)
	}
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(b.Targets, func(x push.Target) bool { return x.Customer == "c-none-token" }) {
		t.Fatalf("the targets are %+v, want them without the erased customer c-none-token", b.Targets)
	}
	if got := w.missingAttribute("m"); got != 3 {
		t.Errorf("%d tokens lack an attribute after one of them was erased, want 3", got)
	}

	if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.deliver(ref)
	if got := w.missingAttribute("m"); got != 3 {
		t.Errorf("%d tokens lack an attribute after the mailing was cancelled, want 3: FCM never took that of waits", got)
	}
	m, _ := w.totals("m")
	if m.Totals == nil {
		t.Fatalf("the mailing is %s and has no stored totals", m.State)
	}
	if got := m.Totals.MissingAttribute; got != 3 {
		t.Errorf("the stored totals have %d tokens that lack an attribute, want 3", got)
	}
}
