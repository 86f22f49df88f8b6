package client

import (
	"testing"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestReconcilePlatforms checks that the platforms must have the sums of the mailing for each
// result, and that the results of each platform must add up.
func TestReconcilePlatforms(t *testing.T) {
	t.Parallel()
	sums := func(targeted int64, results ...push.Result) push.TokenTotals {
		return push.NewTokenTotals(targeted, push.TallyOf(results))
	}
	whole := sums(3, push.ResultAccepted, push.ResultUnregistered)
	broken := sums(1, push.ResultAccepted)
	broken.Accepted = 0
	for name, c := range map[string]struct {
		platforms map[string]push.TokenTotals
		want      string // in the error; "": no error
	}{
		"they add up":       {map[string]push.TokenTotals{"android": sums(2, push.ResultAccepted), "ios": sums(1, push.ResultUnregistered)}, ""},
		"of an old mailing": {nil, ""},
		"one is missing":    {map[string]push.TokenTotals{"android": sums(2, push.ResultAccepted)}, "the platforms have"},
		"another result":    {map[string]push.TokenTotals{"android": sums(2, push.ResultAccepted), "ios": sums(1, push.ResultExpired)}, "the platforms have"},
		"one that does not": {map[string]push.TokenTotals{"android": sums(2, push.ResultAccepted), "ios": broken}, "the tokens of ios do not add up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &Mailing{ID: "m", Totals: push.Totals{Tokens: whole, Platforms: c.platforms}}
			switch err := m.Reconcile(); {
			case c.want != "":
				check.Error(t, "Reconcile", err, c.want)
			case err != nil:
				t.Errorf("Reconcile: the error is %v, want none", err)
			}
		})
	}
}

// TestReconcileApps checks that those of the apps must add up, too.
func TestReconcileApps(t *testing.T) {
	t.Parallel()
	tokens := push.NewTokenTotals(1, push.TallyOf([]push.Result{push.ResultAccepted}))
	m := &Mailing{ID: "m", Totals: push.Totals{Tokens: tokens, Apps: map[string]push.TokenTotals{"shop": tokens}}}
	if err := m.Reconcile(); err != nil {
		t.Errorf("apps that add up: %v", err)
	}
	m.Apps["pharmacy"] = tokens
	check.Error(t, "apps with too many tokens", m.Reconcile(), "the apps have")
}
