package deliver

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// twoPlatforms records a mailing to n Android and n iOS tokens of one app.
func (w *batchHarness) twoPlatforms(id string, n int) push.BatchRef {
	w.t.Helper()
	var targets []push.Target
	for i, platform := range []push.Platform{push.Android, push.IOS} {
		for _, token := range names([]string{"android", "ios"}[i], n) {
			r := push.Registration{Kind: push.KindToken, Value: token, Platform: platform, App: "shop"}
			if _, err := w.RegisterToken(w.t.Context(), "c-"+token, r); err != nil {
				w.t.Fatal(err)
			}
			targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: platform, App: "shop"})
		}
	}
	w.clock.Add(time.Millisecond)
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}}
	return w.record(id, true, d, targets)
}

// TestAPlatformPausesAlone: Apple refuses the app's key. iOS waits, Android goes
// on, and iOS continues when the key is right again.
func TestAPlatformPausesAlone(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("ios-*", "THIRD_PARTY_AUTH")
	ref := w.twoPlatforms("m", 30)
	w.deliver(ref)

	m, totals := w.totals("m")
	if m.State != push.Sending {
		t.Errorf("the mailing is %s, want sending", m.State)
	}
	if !slices.Equal(m.PausedPlatforms, []push.Platform{push.IOS}) {
		t.Errorf("paused platforms are %v, want ios", m.PausedPlatforms)
	}
	check.Equal(t, totals.Accepted, 30, "tokens accepted")
	check.Equal(t, totals.Pending, 30, "tokens pending")

	before := w.phones.Stats().Requests
	w.clock.Add(platformWait)
	w.deliver(ref)
	if got := w.phones.Stats().Requests - before; got > 1 {
		t.Errorf("%d messages went to a platform that is down, want one at most", got)
	}

	w.phones.SetOutcome("ios-*", "OK")
	for range 2 { // the first call tries one target
		w.clock.Add(platformWait)
		w.deliver(ref)
	}
	m, totals = w.totals("m")
	if m.State != push.Completed {
		t.Errorf("the mailing is %s, want completed", m.State)
	}
	if len(m.PausedPlatforms) != 0 {
		t.Errorf("paused platforms are %v, want none", m.PausedPlatforms)
	}
	if totals.Accepted != 60 {
		t.Errorf("%d accepted, want 60", totals.Accepted)
	}
}

// TestFewRefusalsOfAPlatformFail: other tokens of the platform are accepted.
func TestFewRefusalsOfAPlatformFail(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	for _, token := range names("ios", 5) {
		w.phones.SetOutcome(token, "THIRD_PARTY_AUTH")
	}
	w.deliver(w.twoPlatforms("m", 30))
	m, totals := w.totals("m")
	if m.State != push.Completed {
		t.Errorf("the mailing is %s, want completed", m.State)
	}
	if totals.Failed != 5 {
		t.Errorf("%d failed, want 5", totals.Failed)
	}
}
