package tick

import (
	"context"
	"time"

	"carillon.example/shared/push"
)

// statsStore has the statistics of days.
type statsStore interface {
	HasDayStats(ctx context.Context, day string) (bool, error)
	RecordDayStats(ctx context.Context, day string) error
}

// reportStore freezes the counts of what phones reported.
type reportStore interface {
	FreezeReports(ctx context.Context) error
}

// freezeReportsEvery is how often an instance freezes counts of reports. There are two days to
// do it.
const freezeReportsEvery = time.Hour

// freezeReports freezes the counts of the mailings whose reports are not counted any
// more. What fails is tried again in the next round.
func (t *ticker) freezeReports(ctx context.Context) error {
	if last := t.frozeReportsAt.Load(); last != nil && t.Now().Sub(*last) < freezeReportsEvery {
		return nil
	}
	now := t.Now()
	if err := t.Store.FreezeReports(ctx); err != nil {
		return err
	}
	t.frozeReportsAt.Store(&now)
	return nil
}

// countDay counts once a day (of UTC) whom push can reach. An instance remembers the
// day that it has seen counted, so that a round reads nothing for it.
func (t *ticker) countDay(ctx context.Context) error {
	day := t.Now().UTC().Format(push.DayLayout)
	if seen := t.countedDay.Load(); seen != nil && *seen == day {
		return nil
	}
	has, err := t.Store.HasDayStats(ctx, day)
	if err != nil {
		return err
	}
	if !has {
		if err := t.Store.RecordDayStats(ctx, day); err != nil {
			return err
		}
	}
	t.countedDay.Store(&day)
	return nil
}
