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

// publishTimeout is the longest time that a request waits until its events are published.
// The events are stored, so tick can publish what is left.
const publishTimeout = 5 * time.Second

// timeToPublish returns how long PublishEvents may take: half of the time that the
// request has left, so that its answer can still be written.
func timeToPublish(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return publishTimeout
	}
	return min(publishTimeout, time.Until(end)/2)
}

// PublishEvents publishes events of the outbox and deletes them there. If that fails, it
// logs a warning, and the next tick publishes them.
func PublishEvents(ctx context.Context, q publisher, o outbox, log *slog.Logger, events []push.Event) {
	ctx, cancel := context.WithTimeout(ctx, timeToPublish(ctx))
	defer cancel()

	if err := PublishEventsNow(ctx, q, o, events); err != nil {
		log.WarnContext(ctx, "events are left to the next tick", "events", len(events), "error", err)
	}
}

// PublishEventsNow is like PublishEvents, but returns the error and has no timeout of
// its own.
func PublishEventsNow(ctx context.Context, q publisher, o outbox, events []push.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := q.PublishEvents(ctx, events...); err != nil {
		return err
	}
	return o.MarkEventsPublished(ctx, events...)
}
