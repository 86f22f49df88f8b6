package queue

import (
	"context"

	"carillon.example/shared/push"
)

type freezer interface {
	FreezeMailing(ctx context.Context, id string) (*push.Mailing, error)
	completer
}

type completer interface {
	MarkCompletedPublished(ctx context.Context, id string) error
}

// FinishMailing stores the totals of a mailing if no work of it is left, and
// publishes mailing.completed. It returns the mailing if this call finished it, and nil
// if the mailing is not done or another call has finished it. If it fails after the totals
// are stored, tick calls PublishCompleted.
func FinishMailing(ctx context.Context, s freezer, q publisher, id string) (*push.Mailing, error) {
	m, err := s.FreezeMailing(ctx, id)
	if err != nil || m == nil {
		return nil, err
	}
	return m, PublishCompleted(ctx, s, q, m)
}

// PublishCompleted publishes mailing.completed of a mailing that has its totals, and
// records that it was published. It does nothing if the totals are missing, or if the
// event is already recorded as published.
func PublishCompleted(ctx context.Context, s completer, q publisher, m *push.Mailing) error {
	if m.Totals == nil || !m.Active {
		return nil
	}
	if err := q.PublishEvents(ctx, push.CompletedEvent(m)); err != nil {
		return err
	}
	return s.MarkCompletedPublished(ctx, m.ID)
}
