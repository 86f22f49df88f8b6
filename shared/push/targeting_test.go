package push

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// The first reason counts, in the order of the exclusions.
func TestFirstExclusionCounts(t *testing.T) {
	t.Parallel()
	android := Token{ID: TokenID("a"), Value: "a", Kind: KindToken, Platform: Android, App: "shop"}
	web := Token{ID: TokenID("w"), Value: "w", Kind: KindToken, Platform: Web, App: "shop", AddedAt: time.Unix(1, 0)}
	invalid := Token{ID: TokenID("d"), Value: "d", Kind: KindToken, Platform: Android, Invalid: &TokenFlag{Code: CodeUnregistered}}
	everybody := Targeting{Mailing: "m", ControlGroup: 1}
	for name, c := range map[string]struct {
		by       Targeting
		customer *Customer
		listed   []string
		want     Exclusion
		tokens   int
	}{
		"unknown":                  {everybody, nil, nil, ExcludedUnknown, 0},
		"no valid token":           {everybody, &Customer{Tokens: []Token{invalid}, OptedOut: true}, nil, ExcludedNoValidToken, 0},
		"opted out":                {everybody, &Customer{Tokens: []Token{android}, OptedOut: true}, nil, ExcludedOptedOut, 0},
		"filtered":                 {Targeting{Mailing: "m", Only: &Only{Platforms: []Platform{IOS}}, ControlGroup: 1}, &Customer{Tokens: []Token{android}}, nil, ExcludedFiltered, 0},
		"control":                  {everybody, &Customer{Tokens: []Token{android}}, nil, ExcludedControl, 0},
		"nothing":                  {Targeting{Mailing: "m"}, &Customer{Tokens: []Token{android, invalid, web}}, nil, NotExcluded, 2},
		"latest":                   {Targeting{Devices: LatestDevice}, &Customer{Tokens: []Token{android, web}}, nil, NotExcluded, 1},
		"latest of a platform":     {Targeting{Devices: LatestDevice, Only: &Only{Platforms: []Platform{Android}}}, &Customer{Tokens: []Token{android, web}}, nil, NotExcluded, 1},
		"listed":                   {Targeting{Devices: LatestDevice}, &Customer{Tokens: []Token{android, web}}, []string{TokenID("a"), TokenID("w"), TokenID("x")}, NotExcluded, 2},
		"listed of another app":    {Targeting{Only: &Only{Apps: []string{"pharmacy"}}}, &Customer{Tokens: []Token{android, web}}, []string{TokenID("a")}, ExcludedFiltered, 0},
		"listed, and flagged":      {Targeting{}, &Customer{Tokens: []Token{android, invalid}}, []string{TokenID("d")}, ExcludedNoValidToken, 0},
		"listed, in control group": {everybody, &Customer{Tokens: []Token{android}}, []string{TokenID("a")}, ExcludedControl, 0},
	} {
		t.Run(name, func(t *testing.T) {

			tokens, why := c.by.SelectTokens(c.customer, c.listed)
			if why != c.want {
				t.Errorf("%s: excluded as %q, want %q", name, why, c.want)
			}
			if len(tokens) != c.tokens {
				t.Errorf("%s: %d tokens, want %d", name, len(tokens), c.tokens)
			}
		})
	}
}

// The control group has the share that was asked for, stays the same, and is another
// one for each mailing.
func TestControlGroup(t *testing.T) {
	t.Parallel()
	const customers = 20_000
	for _, share := range []float64{0, 0.05, 0.5} {
		a, b := Targeting{Mailing: "a", ControlGroup: share}, Targeting{Mailing: "b", ControlGroup: share}
		in, both := 0, 0
		for i := range customers {
			id := fmt.Sprint("customer-", i)
			first := a.InControlGroup(id)
			if second := a.InControlGroup(id); second != first {
				t.Fatalf("customer %s is in the control group: %v, and then %v", id, first, second)
			}
			if first {
				in++
				if b.InControlGroup(id) {
					both++
				}
			}
		}

		// Five standard deviations of a binomial distribution.
		near := func(what string, got int, p float64) {
			if most := 5 * math.Sqrt(customers*p*(1-p)); math.Abs(float64(got)-customers*p) > most {
				t.Errorf("share %g: %d of %d customers are %s, want %g ± %.0f", share, got, customers, what, customers*p, most)
			}
		}
		near("in the control group", in, share)
		near("in those of both mailings", both, share*share)
	}
}
