package dispatch

import (
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func TestAudiencesAndExclusions(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seed(t, 8)
	_, err := w.FlagToken(t.Context(), store.Flag{Mailing: "old", Customer: "c1", TokenID: push.TokenID("c1-token-0"), Code: push.CodeUnregistered, At: w.clock.Now(), BatchCreatedAt: w.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change   func(*push.Draft)
		tokens   int
		targeted int64
		excluded push.Excluded
	}{
		"customers": {func(d *push.Draft) { d.Audience = push.Audience{Customers: []string{"c1", "c2", "c3", "nobody"}} }, 5, 2, push.Excluded{NoValidToken: 1, Unknown: 1}},
		"latest": {func(d *push.Draft) {
			d.Audience, d.Devices = push.Audience{Customers: []string{"c2", "c3"}}, push.LatestDevice
		}, 2, 2, push.Excluded{}},
		"tokens": {func(d *push.Draft) {
			d.Audience = push.Audience{Tokens: []string{"c3-token-0", "c3-token-2", "c1-token-0", "never seen"}}
		}, 2, 1, push.Excluded{NoValidToken: 1, Unknown: 1}},
		"everyone": {func(*push.Draft) {}, 13, 7, push.Excluded{NoValidToken: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := w.mailing(t, "m-"+name, c.change)
			w.handleUntilDone(t, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart})
			w.checkOnce(t, m.ID, c.tokens)
			totals, err := w.ReadTotals(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			check.Equal(t, totals.Customers.Targeted, c.targeted, "customers targeted")
			check.Equal(t, totals.Customers.Excluded, c.excluded, "customers excluded")
		})
	}
}

// TestAnAudienceWithoutTokens: a mailing that nobody gets is completed at once, and its end is
// published.
func TestAnAudienceWithoutTokens(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.mailing(t, "m", func(d *push.Draft) { d.Audience = push.Audience{Customers: []string{"nobody"}} })
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
	m, err := w.ReadMailing(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, len(w.Published()), 1, "number of published events")
}

func TestShardsCoverTheKeysWithoutOverlap(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 25_000, 25_001, 300_000, 10_000_000} {
		list := newShards(&push.Mailing{ID: "m", Draft: push.Draft{Audience: push.Audience{Everyone: true}}}, n, time.Now())
		check.Equal(t, list[0].From, "", "%d customers: From of the first shard", n)
		check.Equal(t, list[len(list)-1].Upto, "", "%d customers: Upto of the last shard", n)
		for k := 1; k < len(list); k++ {
			check.Equal(t, list[k].From, list[k-1].Upto, "%d customers: From of shard %d", n, k)
			if list[k].From <= list[k-1].From {
				t.Errorf("%d customers: From of shard %d is %v, want more than %v", n, k, list[k].From, list[k-1].From)
			}
		}
	}
}
