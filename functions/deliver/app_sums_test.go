package deliver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// appNames has names that Firestore would not take as names of fields, too.
var appNames = []string{"com.shop", "__shop__", "a `b` c", ""}

// everyApp records a proven mailing to two tokens of each app, one customer each:
// app-N-token-0 and app-N-token-1, by the index of the app.
func (w *world) everyApp(id string) push.BatchRef {
	w.t.Helper()
	var targets []push.Target
	for n, app := range appNames {
		for i := range 2 {
			token := fmt.Sprintf("app-%d-token-%d", n, i)
			w.register("c-"+token, token)
			targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: push.Android, App: app})
		}
	}
	slices.SortFunc(targets, func(x, y push.Target) int { // as dispatch reads customers
		return strings.Compare(push.CustomerKey(x.Customer), push.CustomerKey(y.Customer))
	})
	d := push.Draft{Audience: push.Audience{Everyone: true}, Message: json.RawMessage(`{"notification":{"title":"Hello"}}`)}
	return w.record(id, true, d, targets)
}

// Once a mailing has ended, the sums of each app say what became of its tokens, whatever
// settled its batch.
func TestEachAppHasItsSums(t *testing.T) {
	t.Parallel()
	both := func(r push.Result) push.TokenTotals { return twoOf(r, r) }
	for name, c := range map[string]struct {
		do   func(w *world, ref push.BatchRef) error
		want map[string]push.TokenTotals
	}{
		"sent": {func(w *world, ref push.BatchRef) error {
			w.phones.SetOutcome("app-1-token-1", "UNREGISTERED")
			return w.d.deliverAndFinish(w.t.Context(), ref, "")
		}, map[string]push.TokenTotals{"com.shop": both(push.ResultAccepted), "__shop__": twoOf(push.ResultAccepted, push.ResultUnregistered),
			"a `b` c": both(push.ResultAccepted), "unknown": both(push.ResultAccepted)}},
		"cancelled": {func(w *world, ref push.BatchRef) error {
			if _, err := w.CancelMailing(w.t.Context(), "m"); err != nil {
				return err
			}
			return w.d.deliverAndFinish(w.t.Context(), ref, "")
		}, map[string]push.TokenTotals{"com.shop": both(push.ResultCancelled), "__shop__": both(push.ResultCancelled),
			"a `b` c": both(push.ResultCancelled), "unknown": both(push.ResultCancelled)}},
		"cannot be decoded": {func(w *world, ref push.BatchRef) error {
			return w.CloseUndecodableBatch(w.t.Context(), ref, "test")
		}, map[string]push.TokenTotals{"com.shop": both(push.ResultFailed), "__shop__": both(push.ResultFailed),
			"a `b` c": both(push.ResultFailed), "unknown": both(push.ResultFailed)}},
		"an erased customer": {func(w *world, ref push.BatchRef) error {
			if _, err := w.EraseCustomer(w.t.Context(), "c-app-0-token-1"); err != nil {
				return err
			}
			return w.d.deliverAndFinish(w.t.Context(), ref, "")
		}, map[string]push.TokenTotals{"com.shop": twoOf(push.ResultAccepted, push.ResultCancelled), "__shop__": both(push.ResultAccepted),
			"a `b` c": both(push.ResultAccepted), "unknown": both(push.ResultAccepted)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, phones.Options{})
			ref := w.everyApp("m")
			if err := c.do(w, ref); err != nil {
				t.Fatal(err)
			}
			if _, err := w.FreezeMailing(t.Context(), "m"); err != nil {
				t.Fatal(err)
			}

			m, err := w.ReadMailing(t.Context(), "m")
			if err != nil {
				t.Fatal(err)
			}
			if m.Totals == nil {
				t.Fatal("the mailing has no totals")
			}
			if diff := cmp.Diff(c.want, m.Totals.Apps); diff != "" {
				t.Errorf("the apps (-want +got):\n%s", diff)
			}
		})
	}
}
