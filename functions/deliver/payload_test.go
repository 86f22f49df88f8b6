package deliver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// personal records a mailing whose title and link are templates, to customers
// with two devices each.
func (w *batchHarness) personal(id string, proven bool, attributes map[string]map[string]any) push.BatchRef {
	w.t.Helper()
	return w.titled(id, proven, "Hello {{ customer.name | default: 'friend' }}", attributes)
}

func (w *batchHarness) titled(id string, proven bool, title string, attributes map[string]map[string]any) push.BatchRef {
	w.t.Helper()
	var targets []push.Target
	for customer, a := range attributes {
		for _, end := range []string{"1", "2"} {
			token := customer + "-token-" + end
			w.register("c-"+token, token)
			targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: push.Android, Attributes: a})
		}
	}
	d := push.Draft{Audience: push.Audience{Everyone: true}, Link: "https://x.example/?for={{ customer.name }}",
		Message: fmt.Appendf(nil, `{"notification":{"title":%q}}`, title)}
	return w.record(id, proven, d, targets)
}

func TestEverybodyGetsTheirOwnMessage(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.deliver(w.personal("m", false, map[string]map[string]any{"a": {"name": "Anna & Co"}, "b": {"name": "Bob"}, "n": nil}))
	m, totals := w.totals("m")
	if m.State != push.Completed {
		t.Fatalf("state is %v, want %v", m.State, push.Completed)
	}
	if totals.Accepted != 6 {
		t.Fatalf("tokens accepted is %v, want 6", totals.Accepted)
	}
	want := map[string]string{"a": "Hello Anna & Co https://x.example/?for=Anna%20%26%20Co", "b": "Hello Bob https://x.example/?for=Bob", "n": "Hello friend https://x.example/?for="}
	for _, m := range w.phones.Messages(phones.Filter{Mailing: "m"}) {
		var got struct {
			Notification struct{ Title string }
			Data         map[string]string
		}
		if err := json.Unmarshal(m.Raw, &got); err != nil {
			t.Fatal(err)
		}
		s := got.Notification.Title + " " + got.Data["link"]
		check.Equal(t, s, want[m.Token[:1]], "title and link of %s", m.Token)
		check.Equal(t, got.Data["customer_id"], "c-"+m.Token, "customer_id of %s", m.Token)
	}
}

// A customer whose values make the message too large is refused, and nobody
// else; neither rendering, on its own, says anything about a token.
func TestTooLargeARenderingConcernsOneCustomer(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.deliver(w.personal("m", true, map[string]map[string]any{"a": {"name": strings.Repeat("x", 3900)}, "b": {"name": "Bob"}, "h": {"name": strings.Repeat("y", 9000)}}))
	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Accepted, 2, "tokens accepted")
	check.Equal(t, totals.Refused, 4, "tokens refused")
	for _, token := range []string{"a-token-1", "h-token-2"} {
		if why := w.invalid(token); why != "" {
			t.Errorf("%s is flagged as %s, want no flag", token, why)
		}
	}
}

// A batch of nothing but refusals comes to its end without FCM.
func TestABatchOfRefusalsEnds(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	all := map[string]map[string]any{}
	for i := range 200 {
		all[fmt.Sprintf("c%03d", i)] = map[string]any{"name": strings.Repeat("y", 500)}
	}
	w.deliver(w.titled("m", true, strings.Repeat("{{ customer.name }}", 20), all))
	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Refused, 400, "tokens refused")
}

// choosy is a sender whose FCM takes no payload that says so.
type choosy struct{ sender }

func (c choosy) ProvePayloadIn(ctx context.Context, project string, m *fcm.Message) fcm.Answer {
	a := c.sender.ProvePayloadIn(ctx, project, m)
	if m.Size("") > 100+len("https://x.example/") {
		a.Class, a.Text = fcm.Refused, "the payload is at fault"
	}
	return a
}

// An INVALID_ARGUMENT that names no field: the customer's own rendering is
// proven, and only where FCM takes that is the token to blame.
func TestEachRenderingIsProvenByItself(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.d.Sender = choosy{w.d.Sender}
	w.phones.SetOutcome("*-token-1", "INVALID_TOKEN_BARE")
	w.deliver(w.personal("m", true, map[string]map[string]any{"a": {"name": strings.Repeat("x", 300)}, "b": {"name": "Bob"}}))
	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Accepted, 2, "tokens accepted")
	check.Equal(t, totals.Refused, 1, "tokens refused")
	check.Equal(t, totals.Invalid[push.CodeInvalidArgument], 1, "tokens invalid with CodeInvalidArgument")
	a, b := w.invalid("a-token-1"), w.invalid("b-token-1")
	check.Equal(t, a, "", "flag of the first token")
	check.Equal(t, b, push.CodeInvalidArgument, "flag of the second token")
}
