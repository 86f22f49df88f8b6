package store

import (
	"context"

	"carillon.example/shared/push"
)

// UnflagToken takes back one flag of a mailing.
func (s *Store) UnflagToken(ctx context.Context, mailing string, d push.Dead) (bool, []push.Event, error) {
	return s.unflag(ctx, mailing, d)
}

// Freeze freezes the totals of a mailing if nothing of it is left.
func (s *Store) Freeze(ctx context.Context, mailing string) (*push.Mailing, error) {
	return s.freeze(ctx, mailing)
}
