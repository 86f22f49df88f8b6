package store_test

import (
	"testing"

	"google.golang.org/grpc"

	"carillon.example/shared/push"
)

// TestReadsOfSums: a running mailing is looked at again and again. Each query of at most
// a thousand batches is billed as one read.
func TestReadsOfSums(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		platforms []push.Platform
		want      int64
	}{
		"no tokens":          {nil, 6},
		"one platform":       {[]push.Platform{push.Android, push.Android}, 8},
		"two platforms":      {[]push.Platform{push.Android, push.IOS}, 10},
		"each, and unknown":  {[]push.Platform{push.Android, push.IOS, push.Web, ""}, 14},
		"a name of no other": {[]push.Platform{"tv"}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &reads{}
			w := newHarness(t, grpc.WithStreamInterceptor(r.intercept))
			m := w.mailing(t, "m", push.Audience{Everyone: true})
			sh := w.begin(t, "m")
			if len(c.platforms) > 0 {
				b := batch("m", 0, "a")
				b.Targets, b.Results = nil, make([]push.Result, len(c.platforms))
				for _, p := range c.platforms {
					b.Targets = append(b.Targets, push.Target{Customer: "c", Token: "t", Kind: push.KindToken, Platform: p})
				}
				if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
					t.Fatal(err)
				}
			}

			before := r.queries.Load()
			totals, err := w.ReadTotals(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}

			if got := r.queries.Load() - before; got != c.want {
				t.Errorf("the sums took %d queries, want %d", got, c.want)
			}
			var targeted int64
			for _, p := range totals.Platforms {
				targeted += p.Targeted
			}
			if want := int64(len(c.platforms)); targeted != want {
				t.Errorf("the platforms have %d targets together, want %d", targeted, want)
			}
		})
	}
}
