package tick

import (
	"context"

	"carillon.example/shared/push"
)

// republishUnflags publishes messages for unflags that no call works on: their call
// crashed, or the message was lost.
func (t *ticker) republishUnflags(ctx context.Context) error {
	stalled, err := t.Store.ListStalledUnflags(ctx)
	if err != nil || len(stalled) == 0 {
		return err
	}
	messages := make([]push.DispatchMessage, len(stalled))
	for i, id := range stalled {
		messages[i] = push.DispatchMessage{Mailing: id, Shard: push.DispatchUnflag}
	}
	return t.Queue.PublishDispatch(ctx, messages...)
}
