package client

import (
	"strings"
	"testing"

	"carillon.example/shared/push"
)

// The sums of the platforms have to be those of the mailing, result by result, and each
// has to add up by itself.
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
			got := ""
			if err := m.Reconcile(); err != nil {
				got = err.Error()
			}
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("Reconcile says %q, want %q in it", got, c.want)
			}
		})
	}
}

// So have those of the apps.
func TestReconcileApps(t *testing.T) {
	t.Parallel()
	tokens := push.NewTokenTotals(1, push.TallyOf([]push.Result{push.ResultAccepted}))
	m := &Mailing{ID: "m", Totals: push.Totals{Tokens: tokens, Apps: map[string]push.TokenTotals{"shop": tokens}}}
	if err := m.Reconcile(); err != nil {
		t.Errorf("apps that add up: %v", err)
	}
	m.Apps["pharmacy"] = tokens
	if err := m.Reconcile(); err == nil || !strings.Contains(err.Error(), "the apps have") {
		t.Errorf("apps with too many tokens: error %v, want one about the apps", err)
	}
}
