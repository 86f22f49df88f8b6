package deliver

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// accounts are the targets of some accounts that each register as many tokens as
// they may, all of which FCM refuses.
func (w *batchHarness) accounts(prefix, app string, young bool, n int) (targets []push.Target) {
	w.t.Helper()
	var lines []store.ImportLine
	for i := range n {
		l := store.ImportLine{Customer: fmt.Sprintf("%s-%03d", prefix, i)}
		for j := range push.MaxTokens {
			token := fmt.Sprintf("%s-%03d-%02d", prefix, i, j)
			l.Tokens = append(l.Tokens, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android, App: app})
			targets = append(targets, push.Target{Customer: l.Customer, Token: token, Kind: push.KindToken, Platform: push.Android, App: app, Young: young})
		}
		lines = append(lines, l)
	}
	refused, _, err := w.ImportCustomers(w.t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		w.t.Fatal(err)
	}
	return targets
}

// cutMore adds batches to a mailing that has begun. It returns their names.
func (w *batchHarness) cutMore(id string, targets []push.Target, as string) (refs []push.BatchRef) {
	w.t.Helper()
	var batches []*push.Batch
	for part := range slices.Chunk(targets, push.MaxBatch) {
		ref := push.BatchRef{Mailing: id, Batch: fmt.Sprintf("%s-%06d", as, len(refs))}
		batches = append(batches, &push.Batch{BatchRef: ref, CreatedAt: w.clock.Now(), Targets: part, Results: make([]push.Result, len(part))})
		refs = append(refs, ref)
	}
	for some := range slices.Chunk(batches, 20) {
		sh, err := w.ReadShard(w.t.Context(), id, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		sh.After, sh.Batches = some[0].Batch, sh.Batches+len(some)
		for _, b := range some {
			sh.Targeted += int64(len(b.Targets))
		}
		if err := w.CreateBatches(w.t.Context(), sh, some); err != nil {
			w.t.Fatal(err)
		}
	}
	return refs
}

// TestAFewAccountsPauseNoMailing: one account, or two hundred with all the tokens
// they may have, in a mailing to 500,000 customers. Their batches are sent first,
// so that FCM has accepted nothing of the mailing yet: no other order is worse.
func TestAFewAccountsPauseNoMailing(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.control()
	w.phones.SetOutcome("stranger-*", "SENDER_ID_MISMATCH")
	w.phones.SetOutcome("made-up-*", "INVALID_TOKEN")
	w.phones.SetOutcome("gone-*", "UNREGISTERED")

	everybody := make([]push.Target, 500_000)
	for i := range everybody {
		everybody[i] = push.Target{Customer: fmt.Sprintf("customer-%06d", i), Token: fmt.Sprintf("phone-%06d:APA91b", i), Kind: push.KindToken, Platform: push.Android}
	}
	w.begin("m")
	w.cutMore("m", everybody, "01")

	for _, c := range []struct {
		prefix, app string
		young       bool
		accounts    int
		code        string // with which they are flagged; "": nobody can say, and none is
	}{
		{"made-up-app", "evil", false, 50, ""},
		{"gone-app", "evil", false, 50, ""},
		{"stranger-one", "", true, 1, push.CodeWrongSender},
		{"stranger-many", "", true, 200, push.CodeWrongSender},
		{"stranger-app", "evil", true, 50, push.CodeWrongSender},
	} {
		t.Run(c.prefix, func(t *testing.T) {
			targets := w.accounts(c.prefix, c.app, c.young, c.accounts)
			for _, ref := range w.cutMore("m", targets, c.prefix) {
				w.deliver(ref)
			}
			m, totals := w.totals("m")
			if m.State != push.Sending {
				t.Fatalf("%s: the mailing is %s (%s, %s), want it to go on: %+v", c.prefix, m.State, m.PausedReason, m.PausedDetail, totals)
			}
			last := targets[len(targets)-1]
			customer, err := w.ReadCustomer(t.Context(), last.Customer)
			if err != nil {
				t.Fatal(err)
			}
			code := ""
			if token, _ := customer.FindToken(push.TokenID(last.Token)); token.Invalid != nil {
				code = token.Invalid.Code
			}
			if code != c.code {
				t.Errorf("%s: the last token is flagged %q, want %q", c.prefix, code, c.code)
			}
		})
	}
	if _, totals := w.totals("m"); totals.Targeted != 507_020 {
		t.Errorf("%d tokens are targeted, want 507,020", totals.Targeted)
	}
}
