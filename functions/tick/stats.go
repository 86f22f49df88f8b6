package tick

import (
	"context"

	"carillon.example/shared/push"
)

// statsStore has the statistics of days.
type statsStore interface {
	HasDayStats(ctx context.Context, day string) (bool, error)
	CountDay(ctx context.Context, day string) error
}

// countDay counts once a day (of UTC) whom push can reach. An instance remembers the
// day that it has seen counted, so that a round reads nothing for it.
func (t *ticker) countDay(ctx context.Context) error {
	day := t.Now().UTC().Format(push.DayLayout)
	if seen := t.counted.Load(); seen != nil && *seen == day {
		return nil
	}
	has, err := t.Store.HasDayStats(ctx, day)
	if err != nil {
		return err
	}
	if !has {
		if err := t.Store.CountDay(ctx, day); err != nil {
			return err
		}
	}
	t.counted.Store(&day)
	return nil
}
