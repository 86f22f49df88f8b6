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

// everyPlatform records a proven mailing to two tokens of each platform, one customer
// each: NAME-token-0 and NAME-token-1.
func (w *batchHarness) everyPlatform(id string) push.BatchRef {
	w.t.Helper()
	var targets []push.Target
	for _, p := range []push.Platform{push.Android, push.IOS, push.Web, ""} {
		for i := range 2 {
			token := fmt.Sprintf("%s-token-%d", p.NameInSums(), i)
			w.register("c-"+token, token)
			targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: p})
		}
	}
	slices.SortFunc(targets, func(x, y push.Target) int { // as dispatch reads customers
		return strings.Compare(push.CustomerKey(x.Customer), push.CustomerKey(y.Customer))
	})
	d := push.Draft{Audience: push.Audience{Everyone: true}, Message: json.RawMessage(`{"notification":{"title":"Hello"}}`)}
	return w.record(id, true, d, targets)
}

// platformTotals returns the sums of the platforms.
func (w *batchHarness) platformTotals(id string) map[string]push.TokenTotals {
	w.t.Helper()
	_, totals := w.allTotals(id)
	return totals.Platforms
}

// twoOf returns the sums of a platform with two tokens, of which results are known.
func twoOf(results ...push.Result) push.TokenTotals {
	return push.NewTokenTotals(2, push.TallyOf(results))
}

// The sums of each platform say what became of its tokens, before and after the mailing
// has ended.
func TestEachPlatformHasItsSums(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.everyPlatform("m")
	w.phones.SetOutcome("ios-token-1", "UNREGISTERED")

	want := map[string]push.TokenTotals{"android": twoOf(), "ios": twoOf(), "web": twoOf(), "unknown": twoOf()}
	if diff := cmp.Diff(want, w.platformTotals("m")); diff != "" {
		t.Errorf("before the batch is sent (-want +got):\n%s", diff)
	}

	w.deliver(ref)

	want = map[string]push.TokenTotals{
		"android": twoOf(push.ResultAccepted, push.ResultAccepted), "ios": twoOf(push.ResultAccepted, push.ResultUnregistered),
		"web": twoOf(push.ResultAccepted, push.ResultAccepted), "unknown": twoOf(push.ResultAccepted, push.ResultAccepted),
	}
	if diff := cmp.Diff(want, w.platformTotals("m")); diff != "" {
		t.Errorf("after the batch is sent (-want +got):\n%s", diff)
	}
	m, _ := w.totals("m")
	if m.State != push.Completed {
		t.Fatalf("the mailing is %s, want completed", m.State)
	}
	if diff := cmp.Diff(want, m.Totals.Platforms); diff != "" {
		t.Errorf("stored with the mailing (-want +got):\n%s", diff)
	}
}

// A mailing whose tokens are all of one platform has sums of the others, which are 0.
func TestPlatformsWithoutTokensHaveSums(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.mailing("m", true, "a-token", "b-token")
	none := push.NewTokenTotals(0, push.Tally{})
	want := map[string]push.TokenTotals{"android": twoOf(), "ios": none, "web": none, "unknown": none}
	if diff := cmp.Diff(want, w.platformTotals("m")); diff != "" {
		t.Errorf("the platforms (-want +got):\n%s", diff)
	}
}

// Whatever closes or empties a batch counts for the platform of each target.
func TestPlatformsReconcileWhateverClosesABatch(t *testing.T) {
	t.Parallel()
	closed := func(r push.Result) map[string]push.TokenTotals {
		x := twoOf(r, r)
		return map[string]push.TokenTotals{"android": x, "ios": x, "web": x, "unknown": x}
	}
	erased := map[string]push.TokenTotals{"android": twoOf(), "ios": twoOf(push.ResultCancelled), "web": twoOf(), "unknown": twoOf()}
	for name, c := range map[string]struct {
		do   func(w *batchHarness, ref push.BatchRef) error
		want map[string]push.TokenTotals
	}{
		"cancelled": {func(w *batchHarness, ref push.BatchRef) error {
			if _, err := w.CancelMailing(w.t.Context(), "m"); err != nil {
				return err
			}
			return w.d.deliverAndFinish(w.t.Context(), ref, "")
		}, closed(push.ResultCancelled)},
		"cannot be decoded": {func(w *batchHarness, ref push.BatchRef) error {
			return w.CloseUndecodableBatch(w.t.Context(), ref, "test")
		}, closed(push.ResultFailed)},
		"stuck": {func(w *batchHarness, _ push.BatchRef) error {
			_, err := w.CloseStuckBatches(w.t.Context(), "m")
			return err
		}, closed(push.ResultExpired)},
		"erased": {func(w *batchHarness, _ push.BatchRef) error {
			_, err := w.EraseCustomer(w.t.Context(), "c-ios-token-1")
			return err
		}, erased},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			ref := w.everyPlatform("m")
			if err := c.do(w, ref); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, w.platformTotals("m")); diff != "" {
				t.Errorf("the platforms (-want +got):\n%s", diff)
			}
		})
	}
}
