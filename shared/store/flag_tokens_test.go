package store_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"context"
	"strings"

	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// counted is a harness that counts the transactions it begins.
func counted(t *testing.T) (*harness, *atomic.Int64) {
	t.Helper()
	begun := &atomic.Int64{}
	return newHarness(t, grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if strings.HasSuffix(method, "/BeginTransaction") {
			begun.Add(1)
		}
		return next(ctx, method, req, reply, cc, o...)
	})), begun
}

func (w *harness) flagOf(customer, token string, created time.Time) store.Flag {
	return store.Flag{Mailing: "m", Customer: customer, TokenID: push.TokenID(token), Code: push.CodeUnregistered,
		Status: "NOT_FOUND", At: w.clock.Now(), BatchCreatedAt: created}
}

// TestManyFlagsAreOneTransaction, and those that stand already are none: each
// answers what Flag answers.
func TestManyFlagsAreOneTransaction(t *testing.T) {
	t.Parallel()
	w, begun := counted(t)
	var flags []store.Flag
	for i := range 10 {
		customer := fmt.Sprint("customer", i)
		w.register(t, customer, customer+"-a")
		w.register(t, customer, customer+"-b")
	}
	w.clock.Add(time.Minute)
	created := w.clock.Now()
	for i := range 10 {
		customer := fmt.Sprint("customer", i)
		flags = append(flags, w.flagOf(customer, customer+"-a", created), w.flagOf(customer, customer+"-b", created))
	}

	before := begun.Load()
	first := w.FlagTokens(t.Context(), flags)
	if n := begun.Load() - before; n != 1 {
		t.Errorf("%d transactions, want 1", n)
	}
	before = begun.Load()
	again := w.FlagTokens(t.Context(), flags)
	if n := begun.Load() - before; n != 0 {
		t.Errorf("%d transactions for flags that stand, want 0", n)
	}

	ids := func(results []store.FlagResult) map[string]bool {
		out := map[string]bool{}
		for i, res := range results {
			if res.Err != nil {
				t.Errorf("flag %d: %v", i, res.Err)
			}
			if !res.Set {
				t.Errorf("flag %d is not set", i)
			}
			for _, e := range res.Events {
				out[e.ID] = true
			}
		}
		return out
	}
	published, repeated := ids(first), ids(again)
	if len(published) != 30 { // of each customer: two tokens, and that nothing reaches them any more
		t.Errorf("%d events, want 30", len(published))
	}
	for id := range published {
		if !repeated[id] {
			t.Errorf("event %s is not repeated", id)
		}
	}
	if w.tokenOf(t, "customer3", "customer3-b").Valid() {
		t.Error("a token is still valid")
	}
}

// TestOneBrokenCustomerKeepsNoOtherFromItsFlag.
func TestOneBrokenCustomerKeepsNoOtherFromItsFlag(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for _, customer := range []string{"anna", "broken", "carl"} {
		w.register(t, customer, customer+"-token")
	}
	w.clock.Add(time.Minute)
	created := w.clock.Now()
	if _, err := w.DB().Doc("customers/"+push.CustomerKey("broken")).Set(t.Context(), map[string]any{"id": "broken", "tokens": "x"}); err != nil {
		t.Fatal(err)
	}
	got := w.FlagTokens(t.Context(), []store.Flag{w.flagOf("anna", "anna-token", created), w.flagOf("broken", "broken-token", created), w.flagOf("carl", "carl-token", created)})
	check.Equal(t, got[0].Set, true, "set: got[0].Set")
	check.Equal(t, got[2].Set, true, "set: got[2].Set")
	if !errors.Is(got[1].Err, store.ErrUndecodable) {
		t.Errorf("error of the broken one is %v, want %v", got[1].Err, store.ErrUndecodable)
	}
}

// TestFlagsOfErasedCustomersHaveEvents: the customers are erased at the time of the
// flag, and the event that they cannot be reached is made nevertheless.
func TestFlagsOfErasedCustomersHaveEvents(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "anna-token")
	w.clock.Add(time.Minute)
	created := w.clock.Now()
	w.clock.Add(time.Minute)
	if _, err := w.EraseCustomer(t.Context(), "anna"); err != nil {
		t.Fatal(err)
	}
	f := w.flagOf("anna", "anna-token", created)
	one, err := w.FlagToken(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	all := w.FlagTokens(t.Context(), []store.Flag{f})
	if all[0].Set {
		t.Error("a flag is set on a customer who was erased")
	}
	got, want := kinds(all[0].Events), kinds(one.Events)
	check.Equal(t, got, want, "events of FlagTokens, compared with FlagToken")
	if got == "" {
		t.Errorf("FlagTokens made no events, want those of FlagToken")
	}
}
