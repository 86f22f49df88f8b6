package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

var errHook = errors.New("the hook fails")

// methods lists every Method that there is a constant for.
var methods = []Method{
	ReadBatch, CreateBatches, ListAvailabilities, ListDueMailings, ListDueMessages, ListStalledUnflags, EndUnflag, FlagTokens, ImportCustomers, LeaseBatch, LeaseUnflag, ReadMailingHeader,
	MarkMailingDispatched, MarkPayloadProven, CountOpenTargets, PauseMailingForProject, RecheckTargets, RegisterToken, SaveBatch, SaveControls, SaveMessage, SaveUnflagCursor,
	StartMailing, ReadUnflagPage, UnflagTokens,
}

// TestEveryMethodHasHooks: an error before a call keeps it from the store, and the call
// returns it. There is no store here, so a call that reaches it panics.
func TestEveryMethodHasHooks(t *testing.T) {
	t.Parallel()
	for _, m := range methods {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			var called []Method
			s := New(nil).Before(func(c *Call) error {
				called = append(called, c.Method)
				return errHook
			}, m)

			results := callMethod(t, s, m)

			if diff := cmp.Diff([]Method{m}, called); diff != "" {
				t.Errorf("hooks that ran (-want +got):\n%s", diff)
			}
			if err := errorOf(t, results[len(results)-1]); !errors.Is(err, errHook) {
				t.Errorf("%s returned the error %v, want %v", m, err, errHook)
			}
		})
	}
}

// callMethod calls a method with zero arguments; a list has one element.
func callMethod(t *testing.T, s *FailingStore, m Method) []reflect.Value {
	t.Helper()
	call := reflect.ValueOf(s).MethodByName(string(m))
	if !call.IsValid() {
		t.Fatalf("the store has no method %s", m)
	}

	args := []reflect.Value{reflect.ValueOf(t.Context())}
	for i := 1; i < call.Type().NumIn(); i++ {
		arg := reflect.New(call.Type().In(i)).Elem()
		if arg.Kind() == reflect.Slice {
			arg = reflect.MakeSlice(arg.Type(), 1, 1)
		}
		args = append(args, arg)
	}
	return call.Call(args)
}

// errorOf returns the error in the last result of a method.
func errorOf(t *testing.T, last reflect.Value) error {
	t.Helper()
	switch x := last.Interface().(type) {
	case error:
		return x
	case []store.FlagResult:
		return x[0].Err
	}
	t.Fatalf("the last result is %v, want an error or a list of flag results", last)
	return nil
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	return store.New(testcloud.New(t).DB(), store.Options{})
}

func register(ctx context.Context, s *FailingStore, customer string) (store.RegistrationResult, error) {
	return s.RegisterToken(ctx, customer, push.Registration{Kind: push.KindToken, Value: "token of " + customer, Platform: push.Android})
}

// TestALostAnswerHasItsEffect: an error after a call clears its results, and nothing else.
func TestALostAnswerHasItsEffect(t *testing.T) {
	t.Parallel()
	s := New(newStore(t)).After(Fail(errHook), RegisterToken)

	done, err := register(t.Context(), s, "anna")

	if !errors.Is(err, errHook) {
		t.Errorf("the error is %v, want %v", err, errHook)
	}
	if diff := cmp.Diff(store.RegistrationResult{}, done); diff != "" {
		t.Errorf("result of the lost answer (-want +got):\n%s", diff)
	}
	c, err := s.ReadCustomer(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Tokens) != 1 {
		t.Errorf("the customer has %d tokens, want the one that was registered", len(c.Tokens))
	}
}

// TestAHookAfterACallSeesItsError, and changes its result.
func TestAHookAfterACallSeesItsError(t *testing.T) {
	t.Parallel()
	var seen error
	s := New(newStore(t)).After(func(c *Call) error {
		seen = c.Err
		*Result[*push.Mailing](c, 0) = &push.Mailing{ID: Arg[string](c, 0)}
		return nil
	}, ReadMailingHeader)

	m, err := s.ReadMailingHeader(t.Context(), "missing")

	if !push.IsNotFound(seen) {
		t.Errorf("the hook saw the error %v, want one of a document that does not exist", seen)
	}
	if !errors.Is(err, seen) {
		t.Errorf("the call returned the error %v, want %v", err, seen)
	}
	if m.ID != "missing" {
		t.Errorf("the call returned mailing %q, want the one of the hook", m.ID)
	}
}

// TestAnAnswerKeepsTheCallFromTheStore: there is no store here.
func TestAnAnswerKeepsTheCallFromTheStore(t *testing.T) {
	t.Parallel()
	s := New(nil).Before(func(c *Call) error { c.Answer(7); return nil }, CountOpenTargets)

	n, err := s.CountOpenTargets(t.Context(), "m")

	if err != nil {
		t.Errorf("the call returned the error %v, want none", err)
	}
	if n != 7 {
		t.Errorf("the call returned %d, want 7", n)
	}
}

func TestHooksThatCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hook Hook
		want []bool // which of four calls fail
	}{
		"Fail":     {Fail(errHook), []bool{true, true, true, true}},
		"FailOnce": {FailOnce(errHook), []bool{true, false, false, false}},
		"FailFrom": {FailFrom(3, errHook), []bool{false, false, true, true}},
		"Do":       {Do(func() {}), []bool{false, false, false, false}},
		"DoOnce":   {DoOnce(func() {}), []bool{false, false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make([]bool, len(c.want))
			for i := range got {
				got[i] = c.hook(&Call{}) != nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("calls that fail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHooksThatDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hook func(f func()) Hook
		want int
	}{
		"Do":     {Do, 3},
		"DoOnce": {DoOnce, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := 0
			hook := c.hook(func() { done++ })
			for range 3 {
				if err := hook(&Call{}); err != nil {
					t.Errorf("the hook returned %v, want no error", err)
				}
			}
			if done != c.want {
				t.Errorf("done %d times, want %d", done, c.want)
			}
		})
	}
}
