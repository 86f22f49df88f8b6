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
	orders := make([]push.DispatchMessage, len(stalled))
	for i, id := range stalled {
		orders[i] = push.DispatchMessage{Mailing: id, Shard: push.DispatchUnflag}
	}
	return t.Queue.PublishDispatch(ctx, orders...)
}
