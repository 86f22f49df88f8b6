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
