package dispatch

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// afterFirstPage does something once, after the batches of the first page are created.
func (w *harness) afterFirstPage(do func()) {
	w.failing.After(storetest.DoOnce(do), storetest.CreateBatches)
}

// byKey are the first and the last customer in the order of the keys.
func byKey(n int) (first, last string) {
	for i := range n {
		id := fmt.Sprintf("c%d", i)
		if first == "" || push.CustomerKey(id) < push.CustomerKey(first) {
			first = id
		}
		if last == "" || push.CustomerKey(id) > push.CustomerKey(last) {
			last = id
		}
	}
	return first, last
}

// TestATokenThatMovesIsSentToOnce: from a customer whose batch is created already to one who
// is not, in each way in which a token can move.
func TestATokenThatMovesIsSentToOnce(t *testing.T) {
	t.Parallel()
	const n = store.DocumentPage + 200
	first, last := byKey(n)
	moves := map[string]func(*harness, string) error{
		"registered": func(w *harness, token string) error {
			_, err := w.RegisterToken(t.Context(), last, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android})
			return err
		},
		"signed out before": func(w *harness, token string) error {
			_, out := w.UnregisterToken(t.Context(), first, push.TokenID(token))
			_, err := w.RegisterToken(t.Context(), last, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android})
			return errors.Join(out, err)
		},
	}
	for name, move := range moves {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t, nil)
			w.people(t, n, func(int) int { return 1 })
			token := first + "-token-0"
			w.clock.Add(time.Minute)
			w.mailing(t, "m", nil)
			w.afterFirstPage(func() {
				w.clock.Add(time.Second)
				if err := move(w, token); err != nil {
					t.Error(err)
				}
			})
			w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
			w.checkOnce(t, "m", n)
			m, err := w.ReadMailingHeader(t.Context(), "m")
			if err != nil {
				t.Fatal(err)
			}
			totals, err := w.ReadTotals(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if totals.Customers.Matched != n {
				t.Errorf("%d customers were matched, want %d", totals.Customers.Matched, n)
			}
		})
	}
}

// TestListedTokensAreResolvedOnce: one that moves while the batches of its mailing are created, in
// either direction, is in one bucket and in one batch at most.
func TestListedTokensAreResolvedOnce(t *testing.T) {
	t.Parallel()
	const n = store.DocumentPage + 200
	first, last := byKey(n)
	for name, c := range map[string]struct {
		from, to string
		batches  int // that have the token
	}{
		"to one who has no batch yet": {first, last, 1},
		"to one who has a batch":      {last, first, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t, nil)
			w.people(t, n, func(int) int { return 1 })
			var tokens []string
			for i := range n {
				tokens = append(tokens, fmt.Sprintf("c%d-token-0", i))
			}
			w.mailing(t, "m", func(d *push.Draft) { d.Audience = push.Audience{Tokens: append(tokens, "never seen", tokens[0])} })
			moved := c.from + "-token-0"
			w.afterFirstPage(func() {
				if _, err := w.RegisterToken(t.Context(), c.to, push.Registration{Kind: push.KindToken, Value: moved, Platform: push.Android}); err != nil {
					t.Error(err)
				}
			})
			w.start(t, "m")
			w.eachPageTakes(10 * time.Second)
			w.d.CallTimeout = 12 * time.Second // so that each page is a call of its own, which opens the audience anew
			for calls, messages := 0, []push.DispatchMessage{{Mailing: "m"}}; len(messages) > 0; calls++ {
				if calls > 10 {
					t.Fatal("it does not come to an end")
				}
				messages = w.workOnFirstShard(t, "m")
			}
			if got := w.targets(t, "m")[moved]; got != c.batches {
				t.Errorf("the token that moved is in %d batches, want %d", got, c.batches)
			}
			m, err := w.ReadMailing(t.Context(), "m")
			if err != nil {
				t.Fatal(err)
			}
			totals, err := w.ReadTotals(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if got := totals.Customers; got.Matched != n+1 {
				t.Errorf("matched %d, want %d: %+v", got.Matched, n+1, got)
			}
			if got, want := totals.Tokens.Targeted, int64(n-1+c.batches); got != want {
				t.Errorf("%d tokens, want %d", got, want)
			}
		})
	}
}

// TestACustomerThatDoesNotDecodeIsUnknown, and keeps nobody else from the mailing.
func TestACustomerThatDoesNotDecodeIsUnknown(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.people(t, 10, func(int) int { return 1 })
	if _, err := w.db.Doc("customers/"+push.CustomerKey("c3")).Update(t.Context(), []firestore.Update{{Path: "optedOut", Value: "nonsense"}}); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]push.Audience{"everyone": {Everyone: true}, "listed": {Customers: []string{"c2", "c3"}}} {
		w.mailing(t, name, func(d *push.Draft) { d.Audience = a })
		w.handleUntilDone(t, push.DispatchMessage{Mailing: name, Shard: push.DispatchStart})
		m, err := w.ReadMailingHeader(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		totals, err := w.ReadTotals(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		got := totals.Customers
		check.Equal(t, got.Excluded.Unknown, 1, "%s: customers excluded as unknown", name)
		check.Equal(t, got.Targeted, got.Matched-1, "%s: customers targeted", name)
	}
}
