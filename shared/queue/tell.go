package queue

import (
	"context"
	"log/slog"
	"time"

	"carillon.example/shared/push"
)

type publisher interface {
	PublishEvents(ctx context.Context, events ...push.Event) error
}

type outbox interface {
	MarkEventsPublished(ctx context.Context, events ...push.Event) error
}

// tellTimeout is how long a request waits at most for its events to be published:
// what it did is stored, and tick publishes what is left.
const tellTimeout = 5 * time.Second

// patience is how long Tell waits: half of the time that the request has left, so
// that its answer can still be written.
func patience(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return tellTimeout
	}
	return min(tellTimeout, time.Until(end)/2)
}

// PublishEvents publishes events that stand in the outbox, and has that noted there. What
// it cannot do tick does, and log has a line that says so.
func PublishEvents(ctx context.Context, q publisher, o outbox, log *slog.Logger, events []push.Event) {
	ctx, cancel := context.WithTimeout(ctx, patience(ctx))
	defer cancel()
	if err := PublishEventsNow(ctx, q, o, events); err != nil {
		log.WarnContext(ctx, "events are left to the next tick", "events", len(events), "error", err)
	}
}

// PublishEventsNow is Tell for whoever does something else about an error.
func PublishEventsNow(ctx context.Context, q publisher, o outbox, events []push.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := q.PublishEvents(ctx, events...); err != nil {
		return err
	}
	return o.MarkEventsPublished(ctx, events...)
}
