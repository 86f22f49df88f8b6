package tick

import (
	"context"

	"carillon.example/shared/push"
)

// unflags asks again for the unflags that nobody works on: their call died, or
// its order was lost.
func (t *ticker) unflags(ctx context.Context) error {
	stalled, err := t.Store.StalledUnflags(ctx)
	if err != nil || len(stalled) == 0 {
		return err
	}
	orders := make([]push.DispatchOrder, len(stalled))
	for i, id := range stalled {
		orders[i] = push.DispatchOrder{Mailing: id, Shard: push.TakeFlagsBack}
	}
	return t.Queue.Dispatch(ctx, orders...)
}
