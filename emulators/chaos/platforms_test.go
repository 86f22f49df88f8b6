package chaos

import (
	"testing"

	"carillon.example/emulators/client"
	"carillon.example/shared/push"
)

// TestSumsOfPlatformsAreChecked: a sum that is not the one of the stored results is found.
func TestSumsOfPlatformsAreChecked(t *testing.T) {
	t.Parallel()
	none := push.NewTokenTotals(0, push.Tally{})
	right := push.NewTokenTotals(1, push.TallyOf([]push.Result{push.ResultAccepted}))
	for name, c := range map[string]struct {
		android push.TokenTotals
		want    int // findings
	}{
		"right":            {right, 0},
		"another result":   {push.NewTokenTotals(1, push.TallyOf([]push.Result{push.ResultFailed})), 1},
		"another platform": {none, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			final := &client.Mailing{Totals: push.Totals{Platforms: map[string]push.TokenTotals{"android": c.android, "ios": none, "web": none, "unknown": none}}}
			o := newTestCheck(faultSet{}, &testMailing{id: "m", final: final}, nil)
			o.platforms = platformResults{}
			o.platforms.add(push.Android, push.ResultAccepted)

			o.checkPlatforms()

			if got := o.counts[brokenSums]; got != c.want {
				t.Errorf("%d findings, want %d", got, c.want)
			}
		})
	}
}

// TestSumsOfAppsAreChecked: so is a sum of an app.
func TestSumsOfAppsAreChecked(t *testing.T) {
	t.Parallel()
	right := push.NewTokenTotals(1, push.TallyOf([]push.Result{push.ResultAccepted}))
	for name, c := range map[string]struct {
		apps map[string]push.TokenTotals
		want int // findings
	}{
		"right":          {map[string]push.TokenTotals{"shop": right}, 0},
		"another result": {map[string]push.TokenTotals{"shop": push.NewTokenTotals(1, push.TallyOf([]push.Result{push.ResultFailed}))}, 1},
		"another app":    {map[string]push.TokenTotals{"unknown": right}, 1},
		"one too many":   {map[string]push.TokenTotals{"shop": right, "unknown": push.NewTokenTotals(0, push.Tally{})}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newTestCheck(faultSet{}, &testMailing{id: "m", final: &client.Mailing{Totals: push.Totals{Apps: c.apps}}}, nil)
			o.apps = appResults{}
			o.apps.add("shop", push.ResultAccepted)

			o.checkApps()

			if got := o.counts[brokenSums]; got != c.want {
				t.Errorf("%d findings, want %d", got, c.want)
			}
		})
	}
}
