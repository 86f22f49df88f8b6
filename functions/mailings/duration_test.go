package mailings

import (
	"testing"
	"time"

	"carillon.example/shared/push"
)

func TestDurationIsThatOfTheLowerLimit(t *testing.T) {
	t.Parallel()
	low, high := 600, 1_000_000
	for name, c := range map[string]struct {
		rate     *int
		messages int64
		want     time.Duration
	}{
		"no rate":          {nil, 60_000, time.Minute},
		"below the quota":  {&low, 60_000, 100 * time.Minute},
		"beyond the quota": {&high, 60_000, time.Minute},
		"nothing":          {nil, 0, 0},
		"one":              {nil, 1, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{Deps: Deps{QuotaPerMinute: 60_000}}
			if got := s.durationOf(&push.Draft{RatePerMinute: c.rate}, c.messages); got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
		})
	}
}
