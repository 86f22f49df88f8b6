package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A batchHarness is deliver over a real store, a real sender and an FCM of its own. Its
// clock runs, because the sender's does.
type batchHarness struct {
	*store.Store
	*testcloud.EventRecorder[push.Event]
	t      *testing.T
	phones *phones.Server
	d      *deliverer
	deps   Deps
	clock  *testcloud.Clock
}

func newBatchHarness(t *testing.T, o phones.Options) *batchHarness {
	t.Helper()
	return newBatchHarnessOver(t, o, testcloud.New(t))
}

// newBatchHarnessOver is a batchHarness over a database of its own kind.
func newBatchHarnessOver(t *testing.T, o phones.Options, l *testcloud.Cloud) *batchHarness {
	t.Helper()
	w := &batchHarness{EventRecorder: &testcloud.EventRecorder[push.Event]{}, t: t, phones: testcloud.Phones(t, o), clock: &testcloud.Clock{}}
	w.Store = store.New(l.DB(), store.Options{Now: w.clock.Now})
	sender, err := fcm.New(t.Context(), fcm.Config{Project: "p", Endpoint: w.phones.URL(), QuotaPerMinute: 600_000, MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	w.deps = Deps{Store: w.Store, Queue: w.EventRecorder, Sender: sender, Log: slog.New(slog.DiscardHandler), CallTimeout: 30 * time.Second, Now: w.clock.Now}
	w.d = newDeliverer(w.deps)
	return w
}

// types are those of the events that were published.
func (w *batchHarness) types() (out []string) {
	for _, e := range w.Published() {
		out = append(out, e.Type)
	}
	slices.Sort(out)
	return out
}

// mailing records a mailing, starts it, and creates one batch with those tokens,
// one customer each, who is registered first.
func (w *batchHarness) mailing(id string, proven bool, tokens ...string) push.BatchRef {
	w.t.Helper()
	lines := make([]store.ImportLine, len(tokens))
	for i, token := range tokens {
		lines[i] = store.ImportLine{Customer: "c-" + token, Tokens: []push.Registration{{Kind: push.KindToken, Value: token, Platform: push.Android}}}
	}
	refused, _, err := w.ImportCustomers(w.t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		w.t.Fatal(err)
	}
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}}
	var targets []push.Target
	for _, token := range tokens {
		targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: push.Android})
	}
	return w.record(id, proven, d, targets)
}

// begin records a proven mailing to everyone and starts it, with one shard.
func (w *batchHarness) begin(id string) {
	w.t.Helper()
	m := push.NewMailing(id, id, push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}}, w.clock.Now())
	m.Proven = true
	if _, _, err := w.CreateMailing(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.StartMailing(w.t.Context(), id, push.AllDevices, nil, []push.Shard{{Mailing: id}}); err != nil {
		w.t.Fatal(err)
	}
}

// record records a mailing, starts it, and creates one batch with those targets.
func (w *batchHarness) record(id string, proven bool, d push.Draft, targets []push.Target) push.BatchRef {
	w.t.Helper()
	m := push.NewMailing(id, id, d, w.clock.Now())
	m.Proven = proven
	if _, _, err := w.CreateMailing(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.StartMailing(w.t.Context(), id, push.AllDevices, nil, []push.Shard{{Mailing: id}}); err != nil {
		w.t.Fatal(err)
	}
	sh, err := w.ReadShard(w.t.Context(), id, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: "00-000000"}, CreatedAt: w.clock.Now(), Variants: len(d.Variants), Targets: targets, Results: make([]push.Result, len(targets))}
	for _, x := range targets {
		sh.ByVariant[x.Variant]++
	}
	sh.Done, sh.Batches, sh.Targeted = true, 1, int64(len(targets))
	if err := w.CreateBatches(w.t.Context(), sh, []*push.Batch{b}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.MarkMailingDispatched(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	return b.BatchRef
}

// control registers a customer whose token FCM accepted lately, and accepts.
func (w *batchHarness) control() {
	w.t.Helper()
	w.register("c-control", "control-token")
	w.phones.SetOutcome("control-token", "OK")
	c := []store.ControlToken{{Customer: "c-control", Token: "control-token", Kind: push.KindToken}}
	for _, g := range []tokenGroup{{kind: push.KindToken, platform: push.Android}, controlGroup(push.KindToken, "")} {
		if err := w.SaveControls(w.t.Context(), g.storedName(), c, maxControls); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *batchHarness) register(customer, token string) {
	w.t.Helper()
	_, err := w.RegisterToken(w.t.Context(), customer, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *batchHarness) deliver(ref push.BatchRef) {
	w.t.Helper()
	if err := w.d.deliverAndFinish(w.t.Context(), ref, ""); err != nil {
		w.t.Fatal(err)
	}
}

// allTotals returns a mailing with all its sums.
func (w *batchHarness) allTotals(id string) (*push.Mailing, push.Totals) {
	w.t.Helper()
	m, err := w.ReadMailing(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	totals, err := w.ReadTotals(w.t.Context(), m)
	if err != nil {
		w.t.Fatal(err)
	}
	return m, totals
}

// totals returns a mailing with the sums of its tokens, which have to add up.
func (w *batchHarness) totals(id string) (*push.Mailing, push.TokenTotals) {
	w.t.Helper()
	m, totals := w.allTotals(id)
	t := totals.Tokens
	sum := t.Accepted + t.Refused + t.Failed + t.Expired + t.Cancelled + t.Pending
	for _, n := range t.Invalid {
		sum += n
	}
	if sum != t.Targeted {
		w.t.Errorf("mailing %s: %+v does not add up", id, t)
	}
	return m, t
}

// invalid returns the code of a token's flag, "" while the token is valid.
func (w *batchHarness) invalid(token string) string {
	w.t.Helper()
	c, err := w.ReadCustomer(w.t.Context(), "c-"+token)
	if err != nil {
		w.t.Fatal(err)
	}
	t, ok := c.FindToken(push.TokenID(token))
	if !ok {
		w.t.Fatalf("customer c-%s lost the token", token)
	}
	if t.Valid() {
		return ""
	}
	if t.Invalid.Mailing == "" {
		w.t.Errorf("token %s: Invalid.Mailing is empty, want a value", token)
	}
	if t.Invalid.At.IsZero() {
		w.t.Errorf("token %s: Invalid.At is zero, want a time", token)
	}
	return t.Invalid.Code
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-token-%04d", prefix, i)
	}
	return out
}

// stopped is a call of an instance that has to stop: it releases the batch
// without sending any of it.
func (w *batchHarness) stopped(ref push.BatchRef) {
	w.t.Helper()
	deps := w.deps
	ctx, stop := context.WithCancel(w.t.Context())
	stop()
	deps.Stopping = ctx
	before := len(w.phones.Messages(phones.Filter{Mailing: ref.Mailing}))
	if err := newDeliverer(deps).deliverAndFinish(w.t.Context(), ref, ""); err != nil {
		w.t.Fatal(err)
	}
	sent := len(w.phones.Messages(phones.Filter{Mailing: ref.Mailing})) - before
	check.Equal(w.t, sent, 0, "messages that a stopping instance sent")
}

// openBatch is the one batch of a mailing that is not settled.
func (w *batchHarness) openBatch(mailing string) store.OpenBatch {
	w.t.Helper()
	open, err := w.ListOpenBatches(w.t.Context(), mailing)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(open) != 1 {
		w.t.Fatalf("%d batches of %s are open, want 1", len(open), mailing)
	}
	return open[0]
}

// messagesByToken counts how often each token got a mailing's message.
func (w *batchHarness) messagesByToken(mailing string) map[string]int {
	seen := map[string]int{}
	for _, m := range w.phones.Messages(phones.Filter{Mailing: mailing}) {
		seen[m.Token]++
	}
	return seen
}
